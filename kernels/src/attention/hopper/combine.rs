//! Outputs from those of parts of the keys, by the block that is the last to have its part.

use std::f32::consts::LOG2_E;

use kernelsmith::prelude::*;

use super::config::Plan;
use super::work::{Shape, Work};
use crate::attention::decode::part_len;
use crate::attention::online::{inverse_of, log_sum_of};

/// The named barrier of the warpgroups that multiply.
const BARRIER: u32 = 9;

/// Numbers that a lane reads at a time: what is in flight hides the memory's latency.
const AT_ONCE: usize = 64;

/// Whether the other blocks that share this one's rows all have stored their parts, which are visible then.
/// All `threads` that multiply come here behind their stores.
///
/// A counter has the number of a launch in its upper half. The first block of a later launch raises it, which
/// makes the lower half 0: nothing has to be cleared between launches, not even after one that failed in
/// between. The barriers and the one thread's atomics make stores before a block's arrival happen before loads
/// behind the last one's (PTX ISA, "Memory Consistency Model": "Causality order", and "Observation" through
/// chains of read-modify-writes).
#[device]
pub(super) fn is_last(
    #[comptime] threads: u32,
    #[comptime] arrivals: SliceMut<u64>,
    tile: usize,
    launch: u64,
    splits: usize,
) -> bool {
    let found = shared::<u32>(1usize);
    barrier_sync(BARRIER, threads);
    if thread_idx_x() == 128 {
        let counter = arrivals.atomic(tile);
        counter.fetch_max(launch << 32, Ordering::Relaxed, Scope::Device);
        let before = counter.fetch_add(1u64, Ordering::AcqRel, Scope::Device);
        found[0] = (before as u32 + 1 == splits as u32) as u32;
    }
    barrier_sync(BARRIER, threads);
    warp_broadcast(found[0]) == 1
}

/// Puts the parts of a block's rows together on `threads`, a warp for each row, always in the same order.
#[device]
pub(super) fn combine<O: Num>(
    #[comptime] plan: Plan,
    #[comptime] threads: u32,
    shape: Shape,
    work: Work,
    #[comptime] sinks: Option<Slice<f32>>,
    #[comptime] parts: SliceMut<f32>,
    #[comptime] lse: Option<ViewMut<f32, 3>>,
    #[comptime] out: ViewMut<O, 4>,
) {
    let warps = threads as usize / 32;
    for row in (warp_id() - 4..plan.rows()).step_by(warps) {
        let (query, of_pack) = (work.first + row / plan.pack, row % plan.pack);
        if query < work.own.len && of_pack < shape.together(plan) as usize {
            let head = work.head as usize + of_pack;
            let len = shape.splits * part_len(plan.columns);
            let first = work.row_of(shape, head, query) * len;
            let parts = &parts[first..first + len];
            let to = out.outer(work.own.outer).outer(head).outer(work.own.first + query);
            let sink = sinks.map(|sinks| sinks[head]);
            let log_sum = combine_row(plan, parts, shape.splits, sink, to.contiguous());
            if let Some(lse) = lse {
                if lane_id() == 0 {
                    let lse = lse.outer(work.own.outer).outer(head);
                    lse[[work.own.first + query]] = log_sum;
                }
            }
        }
    }
}

/// Puts `splits` parts of a row together, on a warp; gives the logarithm of the sum of its weights.
#[device]
fn combine_row<O: Num>(
    #[comptime] plan: Plan,
    parts: &[f32],
    splits: usize,
    #[comptime] sink: Option<Val<f32>>,
    #[comptime] to: SliceMut<O>,
) -> f32 {
    let (lane, d, len) = (lane_id(), plan.columns, part_len(plan.columns));
    // SAFETY: there are `splits` parts of `len` numbers, and what is asked for is within one.
    let number = |s: usize, i: usize| unsafe { parts.get_unchecked(s * len + i) };
    let (most_at, sum_at) = (Val::<usize>::from(d), Val::<usize>::from(d + 1));
    let mut own = f32::NEG_INFINITY;
    for s in (lane..splits).step_by(32) {
        own = own.max(number(s, most_at));
    }
    let mut most = warp_max(own);
    if let Some(sink) = sink {
        most = most.max(sink * LOG2_E);
    }
    // Where no key was seen all are -inf, whose differences are NaN.
    let base = most.max(f32::MIN);
    let mut own = 0.0;
    for s in (lane..splits).step_by(32) {
        own += (number(s, most_at) - base).exp2_fast() * number(s, sum_at);
    }
    let mut sum = warp_sum(own);
    if let Some(sink) = sink {
        sum += (sink * LOG2_E - base).exp2_fast();
    }

    // A lane's columns are 32 apart, 512 at most; behind the last one it reads that again.
    let columns: [usize; 16] =
        array(|i| if d >= 32 * (i + 1) { lane + 32 * i } else { (lane + 32 * i).min(d - 1) });
    let mut sums: [f32; 16] = [0.0; 16];
    let at_once = (AT_ONCE / d.div_ceil(32)).min(8);
    for first in (0..splits).step_by(32) {
        let weight = if first + lane < splits {
            (number(first + lane, most_at) - base).exp2_fast()
        } else {
            0.0
        };
        for some in 0..(splits - first).min(32).div_ceil(at_once) {
            for i in unroll(0..at_once) {
                let s = some * at_once + i;
                let weight = shuffle(weight, s as u32);
                let s = (first + s).min(splits - 1);
                for column in unroll(0..d.div_ceil(32)) {
                    sums[column] = number(s, columns[column]).mul_add(weight, sums[column]);
                }
            }
        }
    }
    let scale = inverse_of(sum);
    for column in unroll(0..d.div_ceil(32)) {
        if lane + 32 * column < d {
            to[lane + 32 * column] = (sums[column] * scale).cast::<O>();
        }
    }
    log_sum_of(most, sum)
}
