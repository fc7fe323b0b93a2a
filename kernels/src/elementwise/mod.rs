//! Kernels that compute each output element from the inputs' elements at the same place.

mod saxpy;

pub use saxpy::{saxpy, saxpy_kernel, saxpy_kernel_ir};
