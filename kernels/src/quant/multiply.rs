//! The product with quantised weights: which kernel, and how its work is cut.

use kernelsmith::prelude::*;

use super::activations::{RECORD, quantize_rows};
use super::format::{CHUNK, PANEL};
use super::gemv::{ROWS, quantized_gemv};
use super::matrix::QuantizedMatrix;
use crate::error::{Error, check_len};

/// `Y = X * W'` with `X: m x k` and `Y: m x n`, both row-major, and quantised weights `W: n x k`. See
/// [the module](super) for how close it is.
///
/// # Errors
/// If `x` has not `m * k` elements or `y` not `m * n`, or they are on another device than the weights.
pub fn quantized_matmul<T: Float>(
    m: usize,
    x: &Buffer<T>,
    w: &QuantizedMatrix,
    y: &mut Buffer<f32>,
) -> Result<(), Error> {
    let [n, k] = w.shape();
    check_len("x", x.len(), "m * k", m.checked_mul(k))?;
    check_len("y", y.len(), "m * n", m.checked_mul(n))?;
    if m == 0 || n == 0 {
        return Ok(());
    }
    if k == 0 {
        y.view_mut().fill_zero()?;
        return Ok(());
    }
    let rows = m.min(ROWS);
    let records = quantized(m, rows, x, w)?;
    gemv(m, rows, &records, w, y)
}

/// The records of `x` in tiles of `tile` rows.
fn quantized<T: Float>(
    m: usize,
    tile: usize,
    x: &Buffer<T>,
    w: &QuantizedMatrix,
) -> Result<Buffer<i32>, Error> {
    let chunks = w.shape()[1] / CHUNK;
    let all = m.next_multiple_of(tile) * chunks;
    // SAFETY: the kernel writes every element.
    let mut records = unsafe { Buffer::<i32>::uninit(x.device(), all * RECORD) }?;
    let part = View::of_mut(&mut records, [all, RECORD]).partition([256, RECORD]);
    quantize_rows::<T>(m, chunks, tile, w.layout.zero(), x, part).launch(w.device())?;
    Ok(records)
}

fn gemv(
    m: usize,
    rows: usize,
    records: &Buffer<i32>,
    w: &QuantizedMatrix,
    y: &mut Buffer<f32>,
) -> Result<(), Error> {
    let [n, k] = w.shape();
    let steps = k / w.layout.step_len();
    let y = View::of_mut(y, [m, n]).partition([rows, PANEL]);
    let device = w.device();
    match rows {
        1 => quantized_gemv::<1>(steps, w.layout, &w.words, &w.halves, records, y).launch(device),
        2 => quantized_gemv::<2>(steps, w.layout, &w.words, &w.halves, records, y).launch(device),
        3 => quantized_gemv::<3>(steps, w.layout, &w.words, &w.halves, records, y).launch(device),
        _ => quantized_gemv::<4>(steps, w.layout, &w.words, &w.halves, records, y).launch(device),
    }?;
    Ok(())
}
