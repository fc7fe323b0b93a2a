//! The LLVM that every Rust user already has.
//!
//! rustc ships a whole LLVM as a shared library next to its driver, and `rust-lld` to link with.
//! This crate opens them at run time, so that nothing has to be installed or built: [`find`] looks
//! for the library, `ffi` is the table of the C functions we use, and the rest are safe types over
//! them. It also holds what the two LLVM backends share in writing IR text ([`emit`]).
//!
//! LLVM reports some errors (an intrinsic the chip lacks, say) by ending the process. Code
//! generation therefore runs on threads of its own, see [`machine`], and such an error comes back
//! as [`Error::Fatal`].
#![deny(missing_docs)]

pub mod emit;
pub mod error;
mod ffi;
pub mod find;
pub mod jit;
pub mod lld;
pub mod machine;
mod module;
mod worker;

pub use error::Error;
pub use jit::Jit;
pub use machine::{Machine, MachineOptions, Output};

/// The version of the LLVM in use, as `(major, minor, patch)`, and the path it was opened from.
///
/// # Errors
/// If no LLVM is found.
pub fn version() -> Result<((u32, u32, u32), &'static std::path::Path), Error> {
    let llvm = ffi::llvm()?;
    Ok((llvm.version, &llvm.path))
}
