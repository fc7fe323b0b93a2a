//! Row-wise normalisations.

mod backward;
mod layer;
mod rms;
mod rows;
mod softmax;

pub use backward::{
    layer_norm_backward, layer_norm_backward_kernel, layer_norm_backward_kernel_ir,
    rms_norm_backward, rms_norm_backward_kernel, rms_norm_backward_kernel_ir, softmax_backward,
    softmax_backward_kernel, softmax_backward_kernel_ir,
};
pub use layer::{layer_norm, layer_norm_kernel, layer_norm_kernel_ir};
pub use rms::{rms_norm, rms_norm_kernel, rms_norm_kernel_ir};
pub(crate) use softmax::capacity as softmax_capacity;
pub use softmax::{softmax, softmax_kernel, softmax_kernel_ir};
