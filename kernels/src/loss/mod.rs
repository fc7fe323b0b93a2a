//! Losses and their gradients.

mod cross_entropy;
mod kernel;

pub use cross_entropy::CrossEntropy;
pub use kernel::{
    cross_entropy_gradient_kernel, cross_entropy_gradient_kernel_ir, cross_entropy_kernel,
    cross_entropy_kernel_ir,
};
