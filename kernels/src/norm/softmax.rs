use kernelsmith::Target;
use kernelsmith::prelude::*;

use crate::error::{Error, check_len};

/// Softmax of each row of a row-major matrix. A block is one warp and takes `rows_per_block`
/// consecutive rows.
///
/// Three sweeps a row: the maximum, the exponentials with their sum, the scaling. A row stays in the
/// L1 cache between sweeps (up to some 4000 columns on the CPU), so memory sees one read and one
/// write. The next row's maximum is taken along with this row's exponentials: memory delivers the
/// one while the arithmetic is busy with the other.
#[kernel(requires = (x.len() >= rows * columns, y.len() >= rows * columns))]
pub fn softmax_kernel(
    rows: usize,
    columns: usize,
    rows_per_block: usize,
    x: &[f32],
    y: &mut [f32],
) {
    let first = block_idx_x() * rows_per_block;
    let last = rows.min(first + rows_per_block);
    let lane = thread_idx_x();

    let mut max = f32::NEG_INFINITY;
    for j in (lane..columns).step_by(warp_size()) {
        max = max.max(x[first * columns + j]);
    }
    for row in first..last {
        let start = row * columns;
        let more = row + 1 < last;
        let row_max = warp_max(max);
        max = f32::NEG_INFINITY;
        let mut sum = 0.0;
        for j in (lane..columns).step_by(warp_size()) {
            let e = (x[start + j] - row_max).exp();
            y[start + j] = e;
            sum += e;
            if more {
                max = max.max(x[start + columns + j]);
            }
        }
        let scale = 1.0 / warp_sum(sum);
        for j in (lane..columns).step_by(warp_size()) {
            y[start + j] *= scale;
        }
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
    let per_block = rows_per_block(device.target(), rows);
    softmax_kernel(rows, columns, per_block, x, y)
        .grid(rows.div_ceil(per_block))
        .block(device.target().warp_size() as usize)
        .launch(&device)?;
    Ok(())
}

/// A GPU hides memory's latency by other warps; the CPU wants rows to look ahead to, yet enough
/// blocks to keep every core busy to the end.
fn rows_per_block(target: &Target, rows: usize) -> usize {
    match target {
        Target::Cpu => {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            (rows / (8 * cores)).clamp(1, 16)
        }
        _ => 1,
    }
}
