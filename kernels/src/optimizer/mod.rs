//! Steps of optimisers, each in one pass over parameters, gradients and moments.

mod adam;

pub use adam::{Adam, adam_kernel, adam_kernel_ir};
