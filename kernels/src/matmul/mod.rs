//! Matrix multiplication.

mod builder;
pub mod config;
mod cpu;
mod cpu_config;
mod element;
mod epilogue;
mod finish;
mod gated;
mod gpu;
mod grouped;
mod grouped_scaled;
pub mod hopper;
mod left;
mod low;
mod operand;
mod pack;
mod packed;
mod panels;
mod problem;
mod products;
mod scaled;
mod tiled;
mod tuning;

pub use builder::{Identity, Map, Matmul};
pub use cpu_config::CpuConfig;
pub use element::{Factor, Output};
pub use epilogue::{Pointwise, Steps};
pub use finish::{
    finish_product, finish_product_ir, finish_product_parts, finish_product_parts_ir,
};
pub use gated::{Combine, Gated, GatedMatmul};
pub use grouped::{Grouped, GroupedMatmul};
pub use grouped_scaled::GroupedScaledMatmul;
pub use low::{LowForm, matmul_low_dots, matmul_low_dots_ir, matmul_low_rows, matmul_low_rows_ir};
pub use operand::{Matrix, MatrixMut, Right};
pub use pack::{pack_panels, pack_panels_ir};
pub use packed::Packed;
pub(crate) use packed::is_cpu;
pub use panels::{Form, Layout, TileSize, matmul_panels, matmul_panels_ir};
pub use products::{Bytes, Dot, Pairs, Products, Single, Summed, Words};
pub use scaled::{Scaled, ScaledFactor, ScaledMatmul, Scales, unscale, unscale_ir};
pub use tiled::{matmul_tiled, matmul_tiled_ir};
pub use tuning::tune_matmul;

use kernelsmith::prelude::*;

use crate::error::{Error, check_len};

/// `C = A * B` for row-major `A: m x k`, `B: k x n`, `C: m x n`; for anything else there is [`Matmul`].
///
/// # Errors
/// If a buffer has another length than its shape says, or the buffers live on different devices.
pub fn matmul<T: Factor, O: Output<T::Sum>>(
    (m, n, k): (usize, usize, usize),
    a: &Buffer<T>,
    b: &Buffer<T>,
    c: &mut Buffer<O>,
) -> Result<(), Error> {
    check_len("a", a.len(), "m * k", m.checked_mul(k))?;
    check_len("b", b.len(), "k * n", k.checked_mul(n))?;
    check_len("c", c.len(), "m * n", m.checked_mul(n))?;
    Matmul::new(View::of(a, [m, k]), View::of(b, [k, n])).run(View::of_mut(c, [m, n]))
}
