//! Gradients of the norms of rows.
//!
//! Gradients by weights and biases are sums over rows. A block sums those of its own rows, and a second kernel the
//! blocks' sums: the results are the same bits every time.

use kernelsmith::Target;
use kernelsmith::prelude::*;

use crate::elementwise::sum_parts;
use crate::error::{Error, check_len};

/// The gradients of [`rms_norm`](super::rms_norm): with `r = 1 / sqrt(mean(x^2) + epsilon)` and `g = dy * w`,
/// `dx = r (g - x r^2 mean(g x))`, and `dy x r` summed over a block's rows for the weight's.
///
/// A block is one warp and takes as many rows as `dx` is partitioned by: a sweep for both sums of a row, and one
/// for what is written, in which the next row is asked for; the row stays in a cache between.
#[kernel(
    block = warp_size(),
    requires = (
        x.len() >= dx.shape(0) * dx.shape(1),
        dy.len() >= dx.shape(0) * dx.shape(1),
        weight.len() >= dx.shape(1),
        dx.tile(1) >= dx.shape(1),
        dweight.shape(1) == dx.shape(1),
        dweight.tile(1) >= dx.shape(1),
    ),
)]
pub fn rms_norm_backward_kernel<T: Float>(
    epsilon: f32,
    x: &[T],
    weight: &[T],
    dy: &[T],
    dx: &mut Part<T, 2>,
    dweight: &mut Part<f32, 2>,
) {
    let columns = dx.shape(1);
    for j in 0..dweight.count(1) {
        dweight[[0, j]] = 0.0;
    }
    for i in 0..dx.count(0) {
        let start = dx.global(0, i) * columns;
        let (mut squares, mut along) = (0.0f32, 0.0f32);
        for j in 0..dx.count(1) {
            let column = dx.global(1, j);
            let v = x[start + column].to_f32();
            squares = v.mul_add(v, squares);
            along = (dy[start + column].to_f32() * weight[column].to_f32()).mul_add(v, along);
        }
        let r = (warp_sum(squares) / columns as f32 + epsilon).rsqrt();
        let along = warp_sum(along) / columns as f32 * r * r;
        for j in 0..dx.count(1) {
            let column = dx.global(1, j);
            x.prefetch(start + columns + column);
            dy.prefetch(start + columns + column);
            let (v, d) = (x[start + column].to_f32(), dy[start + column].to_f32());
            dweight[[0, j]] += d * (v * r);
            let g = d * weight[column].to_f32();
            dx.store_streaming([i, j], (r * (g - v * along)).cast::<T>());
        }
    }
}

/// The gradients of [`layer_norm`](super::layer_norm): with `r = 1 / sqrt(variance + epsilon)`,
/// `u = (x - mean) r` and `g = dy * w`, `dx = r (g - mean(g) - u mean(g u))`, and `dy u` and `dy` summed over a
/// block's rows for the weight's and the bias'.
///
/// As [`rms_norm_backward_kernel`], with a sweep for the mean before.
#[kernel(
    block = warp_size(),
    requires = (
        x.len() >= dx.shape(0) * dx.shape(1),
        dy.len() >= dx.shape(0) * dx.shape(1),
        weight.len() >= dx.shape(1),
        dx.tile(1) >= dx.shape(1),
        dweight.shape(1) == dx.shape(1),
        dweight.tile(1) >= dx.shape(1),
        dbias.shape(1) == dx.shape(1),
        dbias.tile(1) >= dx.shape(1),
    ),
)]
pub fn layer_norm_backward_kernel<T: Float>(
    epsilon: f32,
    x: &[T],
    weight: &[T],
    dy: &[T],
    dx: &mut Part<T, 2>,
    dweight: &mut Part<f32, 2>,
    dbias: &mut Part<f32, 2>,
) {
    let columns = dx.shape(1);
    for j in 0..dweight.count(1) {
        dweight[[0, j]] = 0.0;
        dbias[[0, j]] = 0.0;
    }
    for i in 0..dx.count(0) {
        let start = dx.global(0, i) * columns;
        let mut sum = 0.0f32;
        for j in 0..dx.count(1) {
            sum += x[start + dx.global(1, j)].to_f32();
        }
        let mean = warp_sum(sum) / columns as f32;
        let (mut squares, mut gradients, mut along) = (0.0f32, 0.0f32, 0.0f32);
        for j in 0..dx.count(1) {
            let column = dx.global(1, j);
            let v = x[start + column].to_f32() - mean;
            let g = dy[start + column].to_f32() * weight[column].to_f32();
            squares = v.mul_add(v, squares);
            gradients += g;
            along = g.mul_add(v, along);
        }
        let r = (warp_sum(squares) / columns as f32 + epsilon).rsqrt();
        let gradients = warp_sum(gradients) / columns as f32;
        let along = warp_sum(along) / columns as f32 * r;
        for j in 0..dx.count(1) {
            let column = dx.global(1, j);
            x.prefetch(start + columns + column);
            dy.prefetch(start + columns + column);
            let (u, d) = ((x[start + column].to_f32() - mean) * r, dy[start + column].to_f32());
            dweight[[0, j]] += d * u;
            dbias[[0, j]] += d;
            let g = d * weight[column].to_f32();
            dx.store_streaming([i, j], (r * (g - gradients - u * along)).cast::<T>());
        }
    }
}

/// The gradients of [`softmax`](fn@super::softmax), from what it gave: `dx = y (dy - sum(y dy))`. A block is one warp
/// and takes whole rows.
#[kernel(
    block = warp_size(),
    requires = (
        y.len() >= dx.shape(0) * dx.shape(1),
        dy.len() >= dx.shape(0) * dx.shape(1),
        dx.tile(1) >= dx.shape(1),
    ),
)]
pub fn softmax_backward_kernel(y: &[f32], dy: &[f32], dx: &mut Part<f32, 2>) {
    let columns = dx.shape(1);
    for i in 0..dx.count(0) {
        let start = dx.global(0, i) * columns;
        let mut along = 0.0;
        for j in 0..dx.count(1) {
            let at = start + dx.global(1, j);
            along = y[at].mul_add(dy[at], along);
        }
        let along = warp_sum(along);
        for j in 0..dx.count(1) {
            let at = start + dx.global(1, j);
            y.prefetch(at + columns);
            dy.prefetch(at + columns);
            dx.store_streaming([i, j], y[at] * (dy[at] - along));
        }
    }
}

/// The number of rows of `columns` columns that a named argument, `dy` and `dx` all have.
fn check_gradient<T: Float>(
    columns: usize,
    (name, x): (&'static str, &Buffer<T>),
    dy: &Buffer<T>,
    dx: &Buffer<T>,
) -> Result<usize, Error> {
    check_len(name, x.len(), "dx.len()", Some(dx.len()))?;
    check_len("dy", dy.len(), "dx.len()", Some(dx.len()))?;
    let rows = dx.len().checked_div(columns).unwrap_or(0);
    check_len("dx", dx.len(), "rows * columns", rows.checked_mul(columns))?;
    Ok(rows)
}

/// Blocks that sum over rows of their own: a few for each processor, since each has a row of sums.
fn rows_of_a_block(device: &Device, rows: usize) -> usize {
    let units = device.limits().compute_units as usize;
    let blocks = if *device.target() == Target::Cpu { 4 * units } else { 8 * units };
    rows.div_ceil(blocks.max(1)).max(1)
}

/// Sums of blocks, one row each.
fn sums(device: &Device, blocks: usize, columns: usize) -> Result<Buffer<f32>, Error> {
    // SAFETY: each block writes its row before `sum_parts` reads it.
    Ok(unsafe { Buffer::uninit(device, blocks.saturating_mul(columns))? })
}

/// The gradients of a loss by the input and the weight of [`rms_norm`](super::rms_norm), from its gradient `dy` by
/// the output. Computed in f32, rounded once.
///
/// # Errors
/// If `x`, `dy` and `dx` differ in length, their length is no multiple of `columns`, `weight` or `dweight` has not
/// `columns` elements, or the buffers live on different devices.
pub fn rms_norm_backward<T: Float>(
    columns: usize,
    epsilon: f32,
    x: &Buffer<T>,
    weight: &Buffer<T>,
    dy: &Buffer<T>,
    dx: &mut Buffer<T>,
    dweight: &mut Buffer<T>,
) -> Result<(), Error> {
    let rows = check_gradient(columns, ("x", x), dy, dx)?;
    check_len("weight", weight.len(), "columns", Some(columns))?;
    check_len("dweight", dweight.len(), "columns", Some(columns))?;
    if columns == 0 {
        return Ok(());
    }
    if rows == 0 {
        return Ok(dweight.view_mut().fill_zero()?);
    }
    let device = dx.device().clone();
    let each = rows_of_a_block(&device, rows);
    let blocks = rows.div_ceil(each);
    let mut parts = sums(&device, blocks, columns)?;
    let dx = View::of_mut(dx, [rows, columns]).partition([each, columns]);
    let to = View::of_mut(&mut parts, [blocks, columns]).partition([1, columns]);
    rms_norm_backward_kernel(epsilon, x, weight, dy, dx, to).launch(&device)?;
    sum_parts(&parts, dweight)
}

/// The gradients of a loss by the input, the weight and the bias of [`layer_norm`](super::layer_norm), from its
/// gradient `dy` by the output. Computed in f32, rounded once.
///
/// # Errors
/// If `x`, `dy` and `dx` differ in length, their length is no multiple of `columns`, `weight`, `dweight` or
/// `dbias` has not `columns` elements, or the buffers live on different devices.
#[allow(clippy::too_many_arguments)]
pub fn layer_norm_backward<T: Float>(
    columns: usize,
    epsilon: f32,
    x: &Buffer<T>,
    weight: &Buffer<T>,
    dy: &Buffer<T>,
    dx: &mut Buffer<T>,
    dweight: &mut Buffer<T>,
    dbias: &mut Buffer<T>,
) -> Result<(), Error> {
    let rows = check_gradient(columns, ("x", x), dy, dx)?;
    check_len("weight", weight.len(), "columns", Some(columns))?;
    check_len("dweight", dweight.len(), "columns", Some(columns))?;
    check_len("dbias", dbias.len(), "columns", Some(columns))?;
    if columns == 0 {
        return Ok(());
    }
    if rows == 0 {
        dweight.view_mut().fill_zero()?;
        return Ok(dbias.view_mut().fill_zero()?);
    }
    let device = dx.device().clone();
    let each = rows_of_a_block(&device, rows);
    let blocks = rows.div_ceil(each);
    let [mut weights, mut biases] =
        [sums(&device, blocks, columns)?, sums(&device, blocks, columns)?];
    let dx = View::of_mut(dx, [rows, columns]).partition([each, columns]);
    let to = View::of_mut(&mut weights, [blocks, columns]).partition([1, columns]);
    let biased = View::of_mut(&mut biases, [blocks, columns]).partition([1, columns]);
    layer_norm_backward_kernel(epsilon, x, weight, dy, dx, to, biased).launch(&device)?;
    sum_parts(&weights, dweight)?;
    sum_parts(&biases, dbias)
}

/// The gradient of a loss by the input of [`softmax`](fn@super::softmax), from its output `y` and the loss' gradient
/// `dy` by that. Rows have `columns` columns.
///
/// # Errors
/// If `y`, `dy` and `dx` differ in length, their length is no multiple of `columns`, or they live on different
/// devices.
pub fn softmax_backward(
    columns: usize,
    y: &Buffer<f32>,
    dy: &Buffer<f32>,
    dx: &mut Buffer<f32>,
) -> Result<(), Error> {
    let rows = check_gradient(columns, ("y", y), dy, dx)?;
    if rows == 0 {
        return Ok(());
    }
    let device = dx.device().clone();
    let dx = View::of_mut(dx, [rows, columns]).partition([1, columns]);
    softmax_backward_kernel(y, dy, dx).launch(&device)?;
    Ok(())
}
