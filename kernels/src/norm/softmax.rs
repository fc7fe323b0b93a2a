use kernelsmith::Target;
use kernelsmith::prelude::*;

use crate::error::{Error, check_len};

/// Softmax of each row of a row-major matrix, one block of one warp a row.
///
/// Three sweeps: the maximum, the exponentials with their sum, the scaling. A row stays in the L1
/// cache between sweeps (up to some 8000 columns on the CPU), so memory sees one read and one
/// write.
#[kernel]
pub fn softmax_kernel(columns: usize, x: &[f32], y: &mut [f32]) {
    let row = block_idx_x() * columns;
    let lane = thread_idx_x();

    let mut max = f32::NEG_INFINITY;
    for j in (lane..columns).step_by(warp_size()) {
        max = max.max(x[row + j]);
    }
    let max = warp_max(max);

    let mut sum = 0.0;
    for j in (lane..columns).step_by(warp_size()) {
        let e = (x[row + j] - max).exp();
        y[row + j] = e;
        sum += e;
    }
    let scale = 1.0 / warp_sum(sum);

    for j in (lane..columns).step_by(warp_size()) {
        y[row + j] *= scale;
    }
}

/// Softmax of each row of a row-major matrix with `columns` columns.
///
/// A row with a NaN or `+inf` in it, or of nothing but `-inf`, becomes NaN, as the definition says.
///
/// # Errors
/// If `x` and `y` differ in length, their length is no multiple of `columns`, or they live on
/// different devices.
pub fn softmax(columns: usize, x: &Buffer<f32>, y: &mut Buffer<f32>) -> Result<(), Error> {
    check_len("x", x.len(), "y.len()", Some(y.len()))?;
    if y.is_empty() {
        return Ok(());
    }
    let rows = y.len().checked_div(columns).unwrap_or(0);
    check_len("y", y.len(), "rows * columns", rows.checked_mul(columns))?;
    let device = y.device().clone();
    softmax_kernel(columns, x, y).grid(rows).block(block(device.target())).launch(&device)?;
    Ok(())
}

/// One warp.
fn block(target: &Target) -> usize {
    target.warp_size() as usize
}
