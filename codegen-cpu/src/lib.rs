//! Kernelsmith IR to SIMD machine code in this process.
//!
//! A prepared kernel becomes vector LLVM IR for one block size ([`mod@compile`]), an object file
//! that a cache can keep, and a function in this process that runs one block ([`CpuKernel`]); blocks
//! are spread over a thread pool.
#![deny(missing_docs)]

pub mod compile;
pub mod error;
mod library;
mod lower;
pub mod run;
mod team;

pub use compile::{CpuObject, Isa, compile};
pub use error::Error;
pub use run::CpuKernel;
pub use team::threads;
