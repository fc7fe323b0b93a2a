//! The passes between the front end and the backends, one a file.
//!
//! Each is a function `run(&mut Kernel)` that leaves the kernel's meaning as it was; [`prepare`]
//! runs them in order.
pub mod dce;
pub mod flatten;
pub mod licm;
pub mod mem2reg;
pub mod simplify;

mod bitset;
mod edit;
mod fold;
mod prepare;
mod ranges;

pub use prepare::{DUMP_VARIABLE, Error, prepare};
