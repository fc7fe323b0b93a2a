use kernelsmith::Target;
use kernelsmith::prelude::*;

use crate::error::{Error, check_len};

/// Softmax of each row of a row-major matrix. A block is one warp and takes whole rows, as many as `y`
/// is partitioned by.
///
/// Three sweeps a row: the maximum, the exponentials with their sum, the scaling. A row stays in the
/// L1 cache between sweeps (up to some 4000 columns on the CPU), so memory sees one read and one
/// write. The next row's maximum is taken along with this row's exponentials: memory delivers the
/// one while the arithmetic is busy with the other.
#[kernel(
    block = kernelsmith::lang::stage::target().warp_size() as usize,
    requires = (x.len() >= y.shape(0) * y.shape(1), y.tile(1) >= y.shape(1)),
)]
pub fn softmax_kernel(x: &[f32], y: &mut Part<f32, 2>) {
    let (rows, columns) = (y.count(0), y.shape(1));

    let mut max = f32::NEG_INFINITY;
    if rows > 0 {
        for j in 0..y.count(1) {
            max = max.max(x[y.global(0, 0) * columns + y.global(1, j)]);
        }
    }
    for i in 0..rows {
        let start = y.global(0, i) * columns;
        let row_max = warp_max(max);
        max = f32::NEG_INFINITY;
        let mut sum = 0.0;
        for j in 0..y.count(1) {
            let column = y.global(1, j);
            let e = (x[start + column] - row_max).exp();
            y[[i, j]] = e;
            sum += e;
            if i + 1 < rows {
                max = max.max(x[y.global(0, i + 1) * columns + column]);
            }
        }
        let scale = 1.0 / warp_sum(sum);
        for j in 0..y.count(1) {
            y[[i, j]] *= scale;
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
    let y = View::of_mut(y, [rows, columns]).partition([per_block, columns]);
    softmax_kernel(x, y).launch(&device)?;
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
