//! Kernelsmith IR to PTX text.
//!
//! [`compile`] takes a kernel as `passes::prepare` leaves it and an NVIDIA architecture, and gives
//! a [`PtxModule`]: the text the CUDA driver (or `ptxas`) assembles, and what a launch must know.
//! Nothing of CUDA is needed for that. [`ptxas`] runs NVIDIA's assembler where it is installed, to
//! see what the text becomes: registers, spills and machine instructions.
//!
//! How values lie in registers:
//! * `bool` is a predicate; integers of 8 and 16 bits stand extended, by their own signedness, in
//!   a 32-bit register, so that only what can overflow has to be cut back;
//! * the elements of vectors narrower than 32 bits are packed into 32-bit words, lane 0 lowest,
//!   which is how vector loads, `mma` and `ldmatrix` have them;
//! * pointers to shared and local memory are 32-bit offsets into their windows, pointers to global
//!   memory 64-bit addresses.
//!
//! Rounding is spelled out (`add.rn`) on every float operation, since PTX allows the assembler to
//! fuse a product and a sum only where it is not (PTX ISA, "Floating Point Instructions"). No
//! operation flushes subnormal numbers, with two exceptions: `exp2_fast`, by its definition, and
//! `f32` atomic addition to global memory, which flushes in hardware (PTX ISA, `atom`). The sign
//! and payload of NaN results are not specified (PTX ISA, `neg`, `abs`).
#![deny(missing_docs)]

mod address;
mod arith;
mod atomic;
mod bulk;
mod check;
mod control;
mod convert;
mod copies;
mod divide;
mod emit;
#[cfg(feature = "emulator")]
pub mod emulator;
mod error;
mod float;
mod function;
mod integer;
mod isa;
mod matrix;
mod mbarrier;
mod memory;
mod module;
pub mod ptxas;
mod reg;
mod shared;
mod tcgen05;
mod vector;
mod warp;
mod wgmma;

pub use error::Error;
pub use function::compile;
pub use isa::Version;
pub use module::{ParamSlot, PtxModule};
