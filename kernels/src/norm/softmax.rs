use kernelsmith::prelude::*;
use kernelsmith::{Machine, Target};

use super::rows::check_rows;
use crate::error::Error;

/// Softmax of each row of a row-major matrix. A block is one warp and takes whole rows, as many as `y`
/// is partitioned by.
///
/// Three sweeps a row: the maximum, the exponentials with their sum, the scaling. Between the last two
/// the exponentials wait in the block's memory if it has room for `capacity` numbers, and go past the
/// caches on their way out; with a capacity of 0 they wait in `y`. While the arithmetic is busy with
/// one row, memory is asked for the next.
#[kernel(
    block = warp_size(),
    requires = (x.len() >= y.shape(0) * y.shape(1), y.tile(1) >= y.shape(1)),
)]
pub fn softmax_kernel(#[comptime] capacity: usize, x: &[f32], y: &mut Part<f32, 2>) {
    let columns = y.shape(1);
    let waiting = shared::<f32>(capacity.max(1));
    if capacity > 0 {
        assert!(columns <= capacity);
    }
    for i in 0..y.count(0) {
        let start = y.global(0, i) * columns;
        let mut max = f32::NEG_INFINITY;
        for j in 0..y.count(1) {
            max = max.max(x[start + y.global(1, j)]);
        }
        let max = warp_max(max);
        let mut sum = 0.0;
        for j in 0..y.count(1) {
            let column = y.global(1, j);
            if capacity > 0 {
                x.prefetch(start + columns + column);
            }
            let e = ((x[start + column] - max) * std::f32::consts::LOG2_E).exp2_fast();
            sum += e;
            if capacity > 0 {
                waiting[column] = e;
            } else {
                y[[i, j]] = e;
            }
        }
        let scale = 1.0 / warp_sum(sum);
        for j in 0..y.count(1) {
            if capacity > 0 {
                y.store_streaming([i, j], waiting[y.global(1, j)] * scale);
            } else {
                y[[i, j]] *= scale;
            }
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
    let rows = check_rows(columns, x, y)?;
    if rows == 0 {
        return Ok(());
    }
    let device = y.device().clone();
    let y = View::of_mut(y, [rows, columns]).partition([1, columns]);
    let capacity = capacity(device.target(), device.machine(), columns);
    softmax_kernel(capacity, x, y).launch(&device)?;
    Ok(())
}

/// The block's memory for a row: on a GPU none, as it holds more rows in its L1 cache than blocks of one
/// warp leave room for in shared memory. On a CPU it is the processor's cache as well, but stays out of
/// the way of `y`, which need not be read before it is written; few sizes, as each is a kernel. Rows
/// that take more than half of a core's second-level cache are better off in `y`.
pub(crate) fn capacity(target: &Target, machine: &Machine, columns: usize) -> usize {
    let most = machine.l2_per_core() / 2 / size_of::<f32>();
    match target {
        Target::Cpu if columns <= most => columns.next_power_of_two().max(1 << 12),
        _ => 0,
    }
}
