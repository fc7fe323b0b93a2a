use kernelsmith::prelude::*;

use super::rows::check_rows;
use crate::error::{Error, check_len};

/// Layer norm (Ba et al., 2016) of each row: `y = (x - mean) / sqrt(variance + epsilon) * w + b`.
///
/// A block is one warp and takes one row: sweeps for the mean, for the squares of the distances from it
/// (a difference of sums would cancel), and for the quotients, in which the next row is asked for; the
/// row stays in a cache between.
#[kernel(
    block = warp_size(),
    requires = (
        x.len() >= y.shape(0) * y.shape(1),
        weight.len() >= y.shape(1),
        bias.len() >= y.shape(1),
        y.tile(1) >= y.shape(1),
    ),
)]
pub fn layer_norm_kernel<T: Float>(
    epsilon: f32,
    x: &[T],
    weight: &[T],
    bias: &[T],
    y: &mut Part<T, 2>,
) {
    let columns = y.shape(1);
    for i in 0..y.count(0) {
        let start = y.global(0, i) * columns;
        let mut sum = 0.0f32;
        for j in 0..y.count(1) {
            sum += x[start + y.global(1, j)].to_f32();
        }
        let mean = warp_sum(sum) / columns as f32;
        let mut squares = 0.0f32;
        for j in 0..y.count(1) {
            let d = x[start + y.global(1, j)].to_f32() - mean;
            squares = d.mul_add(d, squares);
        }
        let scale = (warp_sum(squares) / columns as f32 + epsilon).rsqrt();
        for j in 0..y.count(1) {
            let column = y.global(1, j);
            x.prefetch(start + columns + column);
            let d = (x[start + column].to_f32() - mean) * scale;
            let v = d.mul_add(weight[column].to_f32(), bias[column].to_f32());
            y.store_streaming([i, j], v.cast::<T>());
        }
    }
}

/// Layer norm of each row of a row-major matrix with `columns` columns:
/// `y = (x - mean) / sqrt(variance + epsilon) * weight + bias`, computed in f32.
///
/// # Errors
/// If `x` and `y` differ in length, their length is no multiple of `columns`, `weight` or `bias` has not
/// `columns` elements, or the buffers live on different devices.
pub fn layer_norm<T: Float>(
    columns: usize,
    epsilon: f32,
    x: &Buffer<T>,
    weight: &Buffer<T>,
    bias: &Buffer<T>,
    y: &mut Buffer<T>,
) -> Result<(), Error> {
    let rows = check_rows(columns, x, y)?;
    check_len("weight", weight.len(), "columns", Some(columns))?;
    check_len("bias", bias.len(), "columns", Some(columns))?;
    if rows == 0 {
        return Ok(());
    }
    let device = y.device().clone();
    let y = View::of_mut(y, [rows, columns]).partition([1, columns]);
    layer_norm_kernel(epsilon, x, weight, bias, y).launch(&device)?;
    Ok(())
}
