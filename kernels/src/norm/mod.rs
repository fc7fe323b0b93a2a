//! Row-wise normalisations.

mod softmax;

pub use softmax::{softmax, softmax_kernel, softmax_kernel_ir};
