//! Where a warpgroup's outputs go.

use kernelsmith::prelude::*;

use super::config::Plan;
use super::rows::finished;
use super::work::{Shape, Work};
use crate::attention::decode::part_len;

/// Whose a row of outputs is.
#[derive(KernelValue, Clone, Copy)]
pub(super) struct Row {
    pub(super) head: Val<u32>,
    pub(super) query: Val<u32>,
    /// Which column of outputs the first one of the sums is.
    pub(super) column: Val<usize>,
}

/// Stores the row `half` of the thread's sums: finished, or as a part of what
/// [`combine`](super::combine::combine) puts together, times a factor. Four lanes share a row.
#[device]
pub(super) fn store<O: Num, S: WgmmaAtom<Sum = f32>>(
    #[comptime] plan: Plan,
    shape: Shape,
    work: Work,
    row: Row,
    #[comptime] half: usize,
    (base, sum, factor): (f32, f32, f32),
    sums: Fragment<S, Accumulator>,
    #[comptime] sinks: Option<Slice<f32>>,
    #[comptime] parts: Option<SliceMut<f32>>,
    #[comptime] lse: Option<ViewMut<f32, 3>>,
    #[comptime] out: ViewMut<O, 4>,
) {
    let first = (lane_id() % 4 == 0) & (row.column == 0);
    let (head, query) = (row.head as usize, row.query as usize);
    if let Some(parts) = parts {
        let at = work.row_of(shape, head, query);
        let len = part_len(plan.columns);
        let from = (at * shape.splits + work.split as usize) * len;
        let part = &mut parts[from..from + len];
        store_row(plan, half, false, sums, factor, row.column, part);
        if first {
            part[plan.columns] = base;
            part[plan.columns + 1] = sum;
        }
    } else {
        let sink = sinks.map(|sinks| sinks[head]);
        let (scale, log_sum) = finished(base, sum, sink);
        let to = out.outer(work.own.outer).outer(head).outer(work.own.first + query);
        store_row(plan, half, true, sums, scale * factor, row.column, to.contiguous());
        if let Some(lse) = lse {
            if first {
                let lse = lse.outer(work.own.outer).outer(head);
                lse[[work.own.first + query]] = log_sum;
            }
        }
    }
}

/// Stores the columns of one of the thread's rows: pairs of neighbours, or, of products with transposed bytes,
/// four ([`Tile::transpose_bytes`]), at once if rows are `aligned` for that.
#[device]
fn store_row<O: Num, S: WgmmaAtom<Sum = f32>>(
    #[comptime] plan: Plan,
    #[comptime] half: usize,
    #[comptime] aligned: bool,
    sums: Fragment<S, Accumulator>,
    scale: f32,
    first: usize,
    #[comptime] to: SliceMut<O>,
) {
    let pair = Fragment::<S, Accumulator>::column(0);
    let columns = plan.columns.min(S::N);
    if S::SHAPE.ab.size() == 1 {
        for block in unroll(0..columns / 16) {
            let at = 8 * block + 2 * half;
            // Neighbours alternate between two blocks of 8 columns of sums.
            let left: [O; 2] = array(|i| (sums.element(at + 4 * i) * scale).cast::<O>());
            let right: [O; 2] = array(|i| (sums.element(at + 4 * i + 1) * scale).cast::<O>());
            let column = first + pair * 2 + 16 * block;
            if aligned {
                to.store_vector(column, [left[0], left[1], right[0], right[1]]);
            } else {
                to.store_vector(column, left);
                to.store_vector(column + 2, right);
            }
        }
    } else {
        let pair = first + pair;
        for block in unroll(0..columns / 8) {
            let at = 4 * block + 2 * half;
            let values: [O; 2] = array(|i| (sums.element(at + i) * scale).cast::<O>());
            to.store_vector(pair + 8 * block, values);
        }
    }
}
