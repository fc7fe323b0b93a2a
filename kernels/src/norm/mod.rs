//! Row-wise normalisations.

mod layer;
mod rms;
mod rows;
mod softmax;

pub use layer::{layer_norm, layer_norm_kernel, layer_norm_kernel_ir};
pub use rms::{rms_norm, rms_norm_kernel, rms_norm_kernel_ir};
pub(crate) use softmax::capacity as softmax_capacity;
pub use softmax::{softmax, softmax_kernel, softmax_kernel_ir};
