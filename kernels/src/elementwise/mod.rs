//! Kernels that compute each output element from the inputs' elements at the same place.

mod convert;
mod parts;
mod saxpy;

pub use convert::{to_f32, to_f32_kernel, to_f32_kernel_ir};
pub(crate) use parts::sum_parts;
pub use parts::{sum_parts_kernel, sum_parts_kernel_ir};
pub use saxpy::{saxpy, saxpy_kernel, saxpy_kernel_ir};
