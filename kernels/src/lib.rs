//! The library of kernels: each is one `#[kernel]` source for every target, with its tuning apart
//! from it.
//!
//! A kernel's folder holds the kernel, the function that launches it (which checks shapes), and
//! `config.rs`: pure functions from shape and target to tile sizes. [`mod@reference`] has the f64
//! versions that tests, the tour and the benchmarks compare with.
#![deny(missing_docs)]

pub mod activation;
pub mod attention;
pub mod catalog;
mod cut;
pub mod elementwise;
pub mod embedding;
pub mod error;
pub mod loss;
pub mod matmul;
pub mod norm;
pub mod number;
pub mod optimizer;
pub mod quant;
pub mod reduce;
pub mod reference;
pub mod rope;
pub mod sampling;
pub mod scan;
pub mod tile;
mod tuning;

pub use error::Error;
pub use number::{Number, SmallFloat};
