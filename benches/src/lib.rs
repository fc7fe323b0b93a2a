//! What the benchmarks and the hardware programs share.
#![deny(missing_docs)]

pub mod cublas;
pub mod gpu;
pub mod interleave;
pub mod memory;
