use kernelsmith::prelude::*;

use super::rows::check_rows;
use crate::error::{Error, check_len};

/// Root-mean-square norm (Zhang and Sennrich, 2019) of each row: `y = x / sqrt(mean(x^2) + epsilon) * w`.
///
/// A block is one warp and takes one row: a sweep for the sum, in f32, and one for the quotients, in
/// which the next row is asked for; the row stays in a cache between.
#[kernel(
    block = warp_size(),
    requires = (
        x.len() >= y.shape(0) * y.shape(1),
        weight.len() >= y.shape(1),
        y.tile(1) >= y.shape(1),
    ),
)]
pub fn rms_norm_kernel<T: Float>(epsilon: f32, x: &[T], weight: &[T], y: &mut Part<T, 2>) {
    let columns = y.shape(1);
    for i in 0..y.count(0) {
        let start = y.global(0, i) * columns;
        let mut sum = 0.0f32;
        for j in 0..y.count(1) {
            let v = x[start + y.global(1, j)].to_f32();
            sum = v.mul_add(v, sum);
        }
        let scale = (warp_sum(sum) / columns as f32 + epsilon).rsqrt();
        for j in 0..y.count(1) {
            let column = y.global(1, j);
            x.prefetch(start + columns + column);
            let v = x[start + column].to_f32() * scale * weight[column].to_f32();
            y.store_streaming([i, j], v.cast::<T>());
        }
    }
}

/// Root-mean-square norm of each row of a row-major matrix with `columns` columns:
/// `y = x / sqrt(mean(x^2) + epsilon) * weight`, computed in f32.
///
/// # Errors
/// If `x` and `y` differ in length, their length is no multiple of `columns`, `weight` has not `columns`
/// elements, or the buffers live on different devices.
pub fn rms_norm<T: Float>(
    columns: usize,
    epsilon: f32,
    x: &Buffer<T>,
    weight: &Buffer<T>,
    y: &mut Buffer<T>,
) -> Result<(), Error> {
    let rows = check_rows(columns, x, y)?;
    check_len("weight", weight.len(), "columns", Some(columns))?;
    if rows == 0 {
        return Ok(());
    }
    let device = y.device().clone();
    let y = View::of_mut(y, [rows, columns]).partition([1, columns]);
    rms_norm_kernel(epsilon, x, weight, y).launch(&device)?;
    Ok(())
}
