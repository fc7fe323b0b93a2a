//! What the benchmarks share.
#![deny(missing_docs)]

pub mod interleave;
