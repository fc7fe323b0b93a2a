//! What the benchmarks and the hardware programs share.
#![deny(missing_docs)]

pub mod cublas_lt;
pub mod gpu;
pub mod interleave;
pub mod memory;
