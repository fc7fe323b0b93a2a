//! Rows of a table by their numbers, and the gradient of that.

mod gradient;
mod lookup;

pub use gradient::{embedding_gradient, embedding_gradient_kernel, embedding_gradient_kernel_ir};
pub use lookup::{embedding, embedding_kernel, embedding_kernel_ir};
