//! The LLVM that every Rust user already has.
//!
//! rustc ships a whole LLVM as a shared library next to its driver, and `rust-lld` to link with.
//! This crate opens them at run time, so that nothing has to be installed or built: [`find`] looks
//! for the library, `ffi` is the table of the C functions we use, and the rest are safe types over
//! them:
//!
//! * [`Machine::compile`]: IR text to optimised IR, assembly or an object file, for x86-64, AArch64
//!   and AMDGCN. [`Context`], [`Module`] and [`TargetMachine`] are its steps, one by one.
//! * [`Jit`]: an object file loaded into this process. What a disk cache keeps are objects, so code
//!   generation and loading are separate.
//! * [`lld::link_shared`]: an AMD object to a code object.
//! * [`disasm`]: machine code to text.
//! * [`emit`]: what the two LLVM backends share in writing IR.
//!
//! LLVM reports some errors (an intrinsic the chip lacks, say) by ending the process. Code
//! generation therefore runs on threads of its own, and such an error comes back as
//! [`Error::Codegen`]. All of the crate may be used from several threads at once.
#![deny(missing_docs)]

mod context;
pub mod disasm;
pub mod emit;
pub mod error;
mod ffi;
pub mod find;
pub mod jit;
pub mod lld;
pub mod machine;
mod module;
mod probe;
mod worker;

pub use context::Context;
pub use error::Error;
pub use jit::Jit;
pub use machine::{Effort, Host, Machine, MachineOptions, Output, TargetMachine};
pub use module::Module;

/// The version of the LLVM in use, as `(major, minor, patch)`, and the path it was opened from.
///
/// # Errors
/// If no LLVM is found.
pub fn version() -> Result<((u32, u32, u32), &'static std::path::Path), Error> {
    let llvm = ffi::llvm()?;
    Ok((llvm.version, &llvm.path))
}
