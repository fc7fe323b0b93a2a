//! Row-wise normalisations.

mod softmax;

pub(crate) use softmax::capacity as softmax_capacity;
pub use softmax::{softmax, softmax_kernel, softmax_kernel_ir};
