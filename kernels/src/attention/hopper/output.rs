//! Where a warpgroup's outputs go.

use kernelsmith::prelude::*;

use super::config::Plan;
use super::rows::finished;
use super::work::Work;

/// Whose a row of outputs is.
#[derive(KernelValue, Clone, Copy)]
pub(super) struct Row {
    pub(super) head: Val<u32>,
    pub(super) query: Val<u32>,
    /// Which column of outputs the first one of the sums is.
    pub(super) column: Val<usize>,
    /// Queries of a sequence at most, and heads: how rows of parts are counted.
    pub(super) m: Val<usize>,
    pub(super) heads: Val<usize>,
}

/// Stores the row `half` of the thread's sums: finished, or as a part of what
/// [`combine_parts`](crate::attention::combine_parts) puts together. Four lanes share a row; each has
/// pairs of columns.
#[device]
pub(super) fn store<O: Num, S: WgmmaAtom<Sum = f32>>(
    #[comptime] plan: Plan,
    work: Work,
    row: Row,
    #[comptime] half: usize,
    (base, sum): (f32, f32),
    sums: Fragment<S, Accumulator>,
    #[comptime] sinks: Option<Slice<f32>>,
    #[comptime] parts: Option<ViewMut<f32, 3>>,
    #[comptime] lse: Option<ViewMut<f32, 3>>,
    #[comptime] out: ViewMut<O, 4>,
) {
    let first = (lane_id() % 4 == 0) & (row.column == 0);
    let (head, query) = (row.head as usize, row.query as usize);
    if let Some(parts) = parts {
        let at = (work.sequence as usize * row.heads + head) * row.m + query;
        let part = parts.outer(at).outer(work.split as usize).contiguous();
        // As many as there are, so that the columns need no checks of their own.
        let part = &mut part[0..plan.columns + 2];
        store_row(plan, half, sums, 1.0, row.column, part);
        if first {
            part[plan.columns] = base;
            part[plan.columns + 1] = sum;
        }
    } else {
        let sink = sinks.map(|sinks| sinks[head]);
        let (scale, log_sum) = finished(base, sum, sink);
        let to = out.outer(work.own.outer).outer(head).outer(work.own.first + query);
        store_row(plan, half, sums, scale, row.column, to.contiguous());
        if let Some(lse) = lse {
            if first {
                let lse = lse.outer(work.own.outer).outer(head);
                lse[[work.own.first + query]] = log_sum;
            }
        }
    }
}

/// Stores the columns of one of the thread's rows.
#[device]
fn store_row<O: Num, S: WgmmaAtom<Sum = f32>>(
    #[comptime] plan: Plan,
    #[comptime] half: usize,
    sums: Fragment<S, Accumulator>,
    scale: f32,
    first: usize,
    #[comptime] to: SliceMut<O>,
) {
    let column = first + Fragment::<S, Accumulator>::column(0);
    for block in unroll(0..plan.columns.min(S::N) / 8) {
        let pair = 4 * block + 2 * half;
        let values: [O; 2] = array(|i| (sums.element(pair + i) * scale).cast::<O>());
        to.store_vector(column + 8 * block, values);
    }
}
