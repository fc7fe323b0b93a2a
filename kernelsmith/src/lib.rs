//! GPU kernels as annotated Rust functions, on plain stable Rust: NVIDIA, AMD and the CPU.
//!
//! ```
//! use kernelsmith::prelude::*;
//!
//! #[kernel]
//! fn saxpy<T: Float>(a: T, x: &[T], y: &mut [T]) {
//!     let i = global_idx_x();
//!     if i < y.len() {
//!         y[i] = a * x[i] + y[i];
//!     }
//! }
//!
//! # fn main() -> Result<(), kernelsmith::Error> {
//! let device = Device::best();
//! let x = Buffer::from_slice(&device, &[1.0f32, 2.0, 3.0])?;
//! let mut y = Buffer::from_slice(&device, &[10.0f32, 20.0, 30.0])?;
//! saxpy::<f32>(2.0, &x, &mut y).grid(1).block(32).launch(&device)?;
//! assert_eq!(y.to_vec()?, [12.0, 24.0, 36.0]);
//! # Ok(())
//! # }
//! ```
//!
//! A kernel means what the same Rust function means; see [`lang`] for what it may use. [`Device`]
//! is a run-time value, and so is everything behind it: nothing needs CUDA or ROCm to build.
#![deny(missing_docs)]

extern crate self as kernelsmith;

pub mod lang;
pub mod launch;
pub mod prelude;
pub mod tune;

#[doc(hidden)]
pub mod __macro;

/// Generated code for any target, and the tools behind it.
pub use kernelsmith_runtime::codegen;

pub use kernelsmith_ir as ir;
pub use kernelsmith_ir::Target;
pub use kernelsmith_macros::{KernelValue, device, kernel};
pub use kernelsmith_runtime::Error as RuntimeError;
pub use kernelsmith_runtime::{
    Agent, Availability, Buffer, BufferView, BufferViewMut, CheckFailed, ContractBroken, Device,
    DeviceKind, DeviceLimits, Event, Finding, FindingKind, Machine, Other, Stream, cache,
};
pub use lang::StagingError;
pub use launch::{Error, Launch};

pub use half::{bf16, f16};
pub use kernelsmith_runtime::{e4m3, e5m2};
