//! Kernels that compute each output element from the inputs' elements at the same place.

mod convert;
mod map;
mod parts;
mod saxpy;
mod strided;

pub use convert::{to_f32, to_f32_kernel, to_f32_kernel_ir};
pub use map::{
    map, map_in_place, map_in_place_kernel, map_in_place_kernel_ir, map_kernel, map_kernel_ir,
    zip_map, zip_map_in_place, zip_map_in_place_kernel, zip_map_in_place_kernel_ir, zip_map_kernel,
    zip_map_kernel_ir,
};
pub(crate) use parts::sum_parts;
pub use parts::{sum_parts_kernel, sum_parts_kernel_ir};
pub use saxpy::{saxpy, saxpy_kernel, saxpy_kernel_ir};
pub use strided::{map_view, zip_map_views, zip_map_views_kernel, zip_map_views_kernel_ir};
