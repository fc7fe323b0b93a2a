//! The passes between the front end and the backends, one a file.
//!
//! Each is a function `run(&mut Kernel)` that leaves the kernel's meaning as it was; [`prepare`]
//! runs them in order.
mod agreements;
pub mod assumptions;
pub mod convergence;
pub mod cse;
pub mod dce;
pub mod expand_math;
pub mod flatten;
pub mod fold;
pub mod fp8;
pub mod in_flight;
pub mod licm;
mod match_lanes;
pub mod mem2reg;
pub mod ranges;
pub mod small_floats;
pub mod uniformity;

mod bitset;
pub(crate) mod edit;
mod memory;
mod prepare;

pub use convergence::ConvergenceError;
pub use in_flight::InFlightError;
pub use prepare::{DUMP_VARIABLE, Error, VERIFY_VARIABLE, prepare};
pub use uniformity::{Level, Uniformity};
