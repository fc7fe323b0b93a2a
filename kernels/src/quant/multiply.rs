//! The product with quantised weights: which kernel, and how its work is cut.

use kernelsmith::Target;
use kernelsmith::launch::ViewMutArg;
use kernelsmith::prelude::*;

use super::activations::Records;
use super::format::PANEL;
use super::gemm::quantized_gemm;
use super::gemv::{ROWS, quantized_gemv};
use super::hopper;
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
    if let Some(form) = w.form {
        return hopper::product([m, n, k], x, (form, &w.words), y);
    }
    let records = |rows| Records::new(x, [m, k], rows, w.layout);
    // A GPU's blocks would have to be of many warps to share decoded weights.
    if m <= ROWS || *w.device().target() != Target::Cpu {
        return gemv(&records(m.min(ROWS))?, w, View::of_mut(y, [m, n]));
    }
    // Whichever computes fewer rows beyond the last.
    let rows = if m.next_multiple_of(6) <= m.next_multiple_of(4) { 6 } else { 4 };
    gemm(&records(rows)?, w, View::of_mut(y, [m, n]))
}

fn gemv(records: &Records, w: &QuantizedMatrix, y: ViewMutArg<'_, f32, 2>) -> Result<(), Error> {
    let QuantizedMatrix { layout, words, halves, .. } = w;
    let (layout, x, device) = (*layout, &records.data, w.device());
    let steps = w.shape()[1] / layout.step_len();
    let y = y.partition([records.rows, PANEL]);
    match records.rows {
        1 => quantized_gemv::<1>(steps, layout, words, halves, x, y).launch(device),
        2 => quantized_gemv::<2>(steps, layout, words, halves, x, y).launch(device),
        3 => quantized_gemv::<3>(steps, layout, words, halves, x, y).launch(device),
        _ => quantized_gemv::<4>(steps, layout, words, halves, x, y).launch(device),
    }?;
    Ok(())
}

fn gemm(records: &Records, w: &QuantizedMatrix, y: ViewMutArg<'_, f32, 2>) -> Result<(), Error> {
    let QuantizedMatrix { layout, words, halves, .. } = w;
    let (layout, x, device) = (*layout, &records.data, w.device());
    let steps = w.shape()[1] / layout.step_len();
    let m = y.shape()[0];
    let y = y.partition([m, PANEL]);
    match records.rows {
        4 => quantized_gemm::<4>(steps, layout, words, halves, x, y).launch(device),
        _ => quantized_gemm::<6>(steps, layout, words, halves, x, y).launch(device),
    }?;
    Ok(())
}
