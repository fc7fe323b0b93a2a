//! Flash attention forward (Shah et al., "FlashAttention-3", 2024): one warpgroup copies, the others take
//! 64 rows each through the keys.

use kernelsmith::prelude::*;

use super::config::{Plan, STAGES, panel, swizzle};
use super::copies::{Copies, Values, copy};
use super::output::{Row, store};
use super::rows::{TwoRows, scaled};
use super::scores::{Crossed, Queries, ScoreFn, pass_of, passes, score_scale};
use super::turns::{first_turn, last_turn, pass_turn, take_turn};
use super::work::{Lengths, Shape, Who};
use crate::attention::form::{Form, end_seen, first_seen};

/// Attention of each head, see [`attention_rows`](crate::attention::attention_rows) for tensors,
/// sequences, sinks and sums. Queries are `outer x kv_heads x rows x group x d`; keys and values
/// `outer x kv_heads x rows x d` or, with a `table`, `pages x kv_heads x page x d`, of which `page` is a
/// multiple of `BN`. `D` and `DV` are the columns of tiles, those of keys and of values or more.
///
/// A block takes pieces of work in turn, each `plan.queries()` queries of a head, or of all with the same
/// keys, through tiles of `BN` keys, the last ones first. While the exponentials of one tile are computed,
/// the tensor cores multiply the weights of the tile before with its values (overlap within a warpgroup,
/// section 3.2 of the paper), and while one warpgroup computes exponentials, the others' products run
/// (section 3.1). Only tiles that the diagonal, the window or the end of the keys crosses are masked, in
/// loops of their own.
///
/// With `splits`, a piece's keys are divided among as many blocks, and `parts[row, split]` are what
/// [`combine_parts`](crate::attention::combine_parts) takes.
#[kernel(
    block = 128 + 128 * plan.warpgroups,
    requires = (
        m >= 1, heads >= 1, group >= 1, splits >= 1, section >= 1,
        out.stride(3) == 1, out.shape(3) == plan.columns,
    ),
)]
pub fn attention_forward<T: Float, O: Num, const D: usize, const DV: usize, const BN: usize>(
    m: usize,
    n: usize,
    batch: usize,
    heads: usize,
    group: usize,
    window: usize,
    splits: usize,
    section: usize,
    scale: f32,
    cap: f32,
    #[comptime] form: Form,
    #[comptime] plan: Plan,
    #[comptime] score: ScoreFn,
    q: &TensorMap<T, 5>,
    k: &TensorMap<T, 4>,
    v: &TensorMap<T, 4>,
    q_ends: Option<&[u32]>,
    k_ends: Option<&[u32]>,
    lengths: Option<&[u32]>,
    table: Option<&View<u32, 2>>,
    sinks: Option<&[f32]>,
    parts: Option<&mut View<f32, 3>>,
    lse: Option<&mut View<f32, 3>>,
    out: &mut View<O, 4>,
) where
    Wgmma<T, BN>: WgmmaAtom<Input = T, Sum = f32>,
    Wgmma<T, DV>: WgmmaAtom<Input = T, Sum = f32>,
{
    let q_box = q.tile([1, 1, plan.own_queries(), plan.pack, panel(D)], swizzle(D));
    let k_box = k.tile([1, 1, BN, panel(D)], swizzle(D));
    let v_box = v.tile([1, 1, BN, panel(DV)], swizzle(DV));
    let q_tiles = tiles::<T>(plan.warpgroups, [64, D], swizzle(D));
    let k_tiles = tiles::<T>(STAGES, [BN, D], swizzle(D));
    let v_tiles = tiles::<T>(STAGES, [BN, DV], swizzle(DV));
    let (q_fill, q_use) = pipeline::<1>(plan.releases()).split();
    let (k_fill, k_use) = pipeline::<STAGES>(plan.releases()).split();
    let (v_fill, v_use) = pipeline::<STAGES>(plan.releases()).split();

    let shape = Shape { m, n, batch, heads, group, window, splits, section };
    let of = Lengths { q_ends, k_ends, lengths, q_rows: q.shape(2), k_rows: k.shape(2) };
    let pieces = shape.pieces(plan);
    if warpgroup_id() == 0 {
        if let Some((few, _)) = plan.shares() {
            lower_registers(few);
        }
        if warp_id() == 0 {
            if elect() {
                let copies = Copies {
                    q_box,
                    k_box,
                    q_tiles,
                    k_tiles,
                    queries: q_fill,
                    keys: k_fill,
                    values: Some(Values { v_box, v_tiles, fill: v_fill }),
                };
                copy(plan, form, BN, shape, of, table, k.shape(0), copies);
            }
        }
    } else {
        if let Some((_, many)) = plan.shares() {
            raise_registers(many);
        }
        let own = own_warpgroup(plan);
        let leads = thread_idx_x() % 128 == 0;
        let (q_use, k_use, v_use) = (q_use.led_by(leads), k_use.led_by(leads), v_use.led_by(leads));
        let to_exponents = score_scale(form, scale);
        first_turn(plan, own);
        let mut index = block_idx_x();
        while index < pieces {
            let work = shape.work(plan, form, BN, Who::Warps, index, of);
            index += grid_dim_x();
            if work.exists() {
                let first = work.first + own * plan.own_queries();
                let last = first + (plan.own_queries() - 1);
                let (lo, hi, n) = (work.lo, work.hi, work.keys.len);
                let asked = Queries::of::<T, BN>(plan, form, shape, work, first);
                let mut rows = TwoRows::new();
                let mut sums = Fragment::<Wgmma<T, DV>, Accumulator>::zero();
                let q_stage = q_use.wait();
                if lo < hi {
                    let queries = q_tiles.stage(own);
                    if plan.ragged {
                        if hi * BN > n {
                            let values = v_tiles.stage(v_use.peek());
                            clear(values, n - (hi - 1) * BN, plan.threads());
                        }
                    }
                    let mut out = InFlight::<Wgmma<T, DV>>::zero();
                    let stage = k_use.wait();
                    let keys = k_tiles.stage(stage.index());
                    wgmma_fence();
                    let scores = begin_scores::<T, D, BN>(queries, keys).wait();
                    stage.release();
                    let scores = asked.finish(
                        form,
                        score,
                        (scale, cap),
                        Crossed::Both,
                        scores,
                        (hi - 1) * BN,
                    );
                    let (weighed, _, _) = rows.weigh(plan, scores, to_exponents);
                    let mut weights =
                        SumsAsFactor::<Wgmma<T, DV>, Wgmma<T, BN>>::new(weighed, narrow);

                    // Tiles that all of these queries see, `low` to `high`.
                    let m = work.own.len;
                    let high = (end_seen(form, first, m, n) / BN).max(lo).min(hi - 1);
                    let low = first_seen(form, last, m, n, window).div_ceil(BN).max(lo).min(high);
                    for pass in unroll(0..passes(form)) {
                        let (from, to, crossed) = pass_of(pass, [lo, low, high, hi - 1]);
                        for tile in (from..to).rev() {
                            let k_stage = k_use.wait();
                            let keys = k_tiles.stage(k_stage.index());
                            take_turn(plan, own);
                            wgmma_fence();
                            let scores = begin_scores::<T, D, BN>(queries, keys);
                            let v_stage = v_use.wait();
                            let values = v_tiles.stage(v_stage.index());
                            // What the other products began with is in registers of their own, but
                            // the assembler would order these itself, and note it.
                            wgmma_fence();
                            out = begin_outputs::<T, DV, BN>(weights, values, out);
                            pass_turn(plan, own);
                            let scores = scores.wait_pending(1);
                            k_stage.release();
                            let scores =
                                asked.finish(form, score, (scale, cap), crossed, scores, tile * BN);
                            let (next, factors, differ) = rows.weigh(plan, scores, to_exponents);
                            let so_far = out.wait();
                            v_stage.release();
                            out = if plan.lazy {
                                rescaled(so_far, factors, differ).into()
                            } else {
                                scaled(so_far, factors).into()
                            };
                            weights = SumsAsFactor::new(next, narrow);
                        }
                    }
                    let stage = v_use.wait();
                    let values = v_tiles.stage(stage.index());
                    wgmma_fence();
                    sums = begin_outputs::<T, DV, BN>(weights, values, out).wait();
                    stage.release();
                }
                q_stage.release();
                let (base, sum) = rows.whole();
                for half in unroll(0..2usize) {
                    let (query, head) = asked.row(half);
                    if (query as usize) < work.own.len && head < work.head + shape.together(plan) {
                        let row = Row { head, query, column: 0, m, heads };
                        let state = (base[half], sum[half]);
                        store(plan, work, row, half, state, sums, sinks, parts, lse, out);
                    }
                }
            }
        }
        last_turn(plan, own);
    }
}

/// Which of the warpgroups that multiply this is.
#[device]
fn own_warpgroup(#[comptime] plan: Plan) -> usize {
    let own = warpgroup_id() - 1;
    // SAFETY: the block has one warpgroup more, number 0, which does not come here.
    unsafe { assume(own < plan.warpgroups) };
    own
}

/// Begins `queries * keys'`, after a fence.
#[device]
pub(super) fn begin_scores<T: Float, const D: usize, const BN: usize>(
    queries: Tile<T>,
    keys: Tile<T>,
) -> InFlight<Wgmma<T, BN>>
where
    Wgmma<T, BN>: WgmmaAtom<Input = T, Sum = f32>,
{
    let mut scores = InFlight::<Wgmma<T, BN>>::zero();
    for e in unroll(0..D / 16) {
        scores = wgmma(queries.k_major(0, 16 * e), keys.k_major(0, 16 * e), scores, e > 0);
    }
    wgmma_commit();
    scores
}

/// Begins `out + weights * values`, after a fence.
#[device]
pub(super) fn begin_outputs<T: Float, const DV: usize, const BN: usize>(
    weights: SumsAsFactor<Wgmma<T, DV>, Wgmma<T, BN>>,
    values: Tile<T>,
    out: InFlight<Wgmma<T, DV>>,
) -> InFlight<Wgmma<T, DV>>
where
    Wgmma<T, BN>: WgmmaAtom<Input = T, Sum = f32>,
    Wgmma<T, DV>: WgmmaAtom<Input = T, Sum = f32>,
{
    let mut out = out;
    for key in unroll(0..BN / 16) {
        out = wgmma(weights.columns(16 * key), values.mn_major(0, 16 * key), out, true);
    }
    wgmma_commit();
    out
}

/// Outputs multiplied by factors, if any of the warp's is not 1.
#[device]
pub(super) fn rescaled<S: WgmmaAtom<Sum = f32>>(
    sums: Fragment<S, Accumulator>,
    factors: [f32; 2],
    differ: bool,
) -> Fragment<S, Accumulator> {
    let mut sums = sums;
    if warp_any(differ) {
        sums = scaled(sums, factors);
    }
    sums
}

/// The type that factors have.
#[device]
pub(super) fn narrow<T: Float>(x: f32) -> T {
    x.cast::<T>()
}

/// Makes rows from `first` on zeros: they are none of the sequence's, and their weights of 0 would not make
/// zeros of infinities. All `threads` of the warpgroups that multiply do this together.
#[device]
pub(super) fn clear<T: Float>(values: Tile<T>, first: usize, #[comptime] threads: u32) {
    let thread = thread_idx_x() - 128;
    for row in first..values.rows() {
        for column in (thread..values.columns()).step_by(threads as usize) {
            values.at(row, column).set(Val::<T>::zero());
        }
    }
    async_fence();
    barrier_sync(8, threads);
}
