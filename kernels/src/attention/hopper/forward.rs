//! Flash attention forward (Shah et al., "FlashAttention-3", 2024): one warpgroup copies, the others take
//! 64 rows each through the keys.

use kernelsmith::prelude::*;

use super::clear::{Threads, clear};
use super::combine::{combine, is_last};
use super::config::{Plan, STAGES, panel, swizzle};
use super::copies::{Copies, Values, copy};
use super::output::{Row, store};
use super::rows::{TwoRows, scaled};
use super::scores::{Crossed, Queries, ScoreFn, pass_of, passes, score_scale};
use super::transpose::{multiplied, releases, transpose};
use super::turns::{first_turn, last_turn, pass_turn, take_turn};
use super::work::{Lengths, Shape, Who};
use crate::attention::eighths::factor;
use crate::attention::element::AttentionElement;
use crate::attention::form::{Form, end_seen, first_seen};

/// Attention of each head, see [`attention_rows`](crate::attention::attention_rows) for tensors,
/// sequences, sinks and sums. Queries are `outer x kv_heads x rows x group x d`; keys and values
/// `outer x kv_heads x rows x d` or, with a `table`, `pages x kv_heads x page x d`, of which `page` is a
/// multiple of what `plan.per_copy` says. `D` and `DV` are the columns of tiles, those of keys and of values or more.
///
/// A block takes pieces of work in turn, each `plan.queries()` queries of a head, or of all with the same
/// keys, through tiles of `BN` keys, the last ones first. While the exponentials of one tile are computed,
/// the tensor cores multiply the weights of the tile before with its values (overlap within a warpgroup,
/// section 3.2 of the paper), and while one warpgroup computes exponentials, the others' products run
/// (section 3.1). Only tiles that the diagonal, the window or the end of the keys crosses are masked, in
/// loops of their own.
///
/// Elements of 8 bits are multiplied as such, scores and outputs by factors of their sequence and head of
/// keys, `batch x kv_heads`. Values are transposed on the way ([`Tile::transpose_bytes`]).
///
/// With `splits`, a piece's keys are divided among as many blocks. Each stores its sums in `parts`, a row of
/// `batch x heads x m` after another, of which each has `splits` parts of `d + 2` numbers; the last one to come
/// to the counter `arrivals[row]` of the tile's first row puts them together. Counters are 0 before the first
/// launch, and each has a greater `launch` than those before.
#[kernel(
    block = 128 + 128 * plan.warpgroups,
    requires = (
        m >= 1, heads >= 1, group >= 1, splits >= 1, section >= 1,
        out.stride(3) == 1, out.shape(3) == plan.columns,
    ),
)]
pub fn attention_forward<
    T: Stored + AttentionElement,
    O: Num,
    const D: usize,
    const DV: usize,
    const BN: usize,
>(
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
    q_factors: Option<&View<f32, 2>>,
    k_factors: Option<&View<f32, 2>>,
    v_factors: Option<&View<f32, 2>>,
    launch: u64,
    parts: Option<&mut [f32]>,
    arrivals: Option<&mut [u64]>,
    lse: Option<&mut View<f32, 3>>,
    out: &mut View<O, 4>,
) where
    Wgmma<T, BN>: WgmmaAtom<Input = T, Sum = f32>,
    Wgmma<T, DV>: WgmmaAtom<Input = T, Sum = f32>,
{
    let bytes = size_of::<T>();
    let (along, along_values) = (swizzle(D, bytes), swizzle(DV, bytes));
    let q_box = q.tile([1, 1, plan.own_queries(), plan.pack, panel(D, bytes)], along);
    let k_box = k.tile([1, 1, plan.copied(BN), panel(D, bytes)], along);
    let v_box = v.tile([1, 1, plan.copied(BN), panel(DV, bytes)], along_values);
    let q_tiles = tiles::<T>(plan.warpgroups, [64, D], along);
    let k_tiles = tiles::<T>(STAGES, [BN, D], along);
    let v_tiles = tiles::<T>(STAGES, [BN, DV], along_values);
    let (q_fill, q_use) = pipeline::<1>(plan.releases()).split();
    let (k_fill, k_use) = pipeline::<STAGES>(plan.releases()).split();
    let (v_fill, v_loaded) = pipeline::<STAGES>(releases::<T>(plan)).split();
    let (transposes, values, v_use) = multiplied::<T>(plan, [BN, DV], v_tiles, v_loaded);

    let shape = Shape { m, n, batch, heads, group, window, splits, section };
    let of = Lengths { q_ends, k_ends, lengths, q_rows: q.shape(2), k_rows: k.shape(2) };
    let pieces = shape.pieces(plan);
    if warpgroup_id() == 0 {
        if let Some((few, _)) = plan.shares(bytes) {
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
        } else {
            if let Some(transposes) = transposes {
                transpose(plan, form, BN, shape, of, transposes);
            }
        }
    } else {
        if let Some((_, many)) = plan.shares(bytes) {
            raise_registers(many);
        }
        let own = own_warpgroup(plan);
        let leads = thread_idx_x() % 128 == 0;
        let (q_use, k_use, v_use) = (q_use.led_by(leads), k_use.led_by(leads), v_use.led_by(leads));
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
                let (sequence, kv_head) = (work.sequence as usize, work.kv_head);
                let scale = scale
                    * factor(q_factors, sequence, kv_head)
                    * factor(k_factors, sequence, kv_head);
                let to_exponents = score_scale(form, scale);
                let mut rows = TwoRows::new();
                let mut sums = Fragment::<Wgmma<T, DV>, Accumulator>::zero();
                let q_stage = q_use.wait();
                if lo < hi {
                    let queries = q_tiles.stage(own);
                    if plan.ragged && bytes > 1 {
                        if hi * BN > n {
                            let values = values.stage(v_use.peek());
                            clear(values, n - (hi - 1) * BN, Threads::multiplying(plan.threads()));
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
                    let mut weights = SumsAsFactor::<Wgmma<T, DV>, Wgmma<T, BN>>::new(weighed);

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
                            let values = values.stage(v_stage.index());
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
                            weights = SumsAsFactor::new(next);
                        }
                    }
                    let stage = v_use.wait();
                    let values = values.stage(stage.index());
                    wgmma_fence();
                    sums = begin_outputs::<T, DV, BN>(weights, values, out).wait();
                    stage.release();
                }
                q_stage.release();
                let (base, sum) = rows.whole();
                let v_factor = factor(v_factors, sequence, kv_head);
                for half in unroll(0..2usize) {
                    let (query, head) = asked.row(half);
                    if (query as usize) < work.own.len && head < work.head + shape.together(plan) {
                        let row = Row { head, query, column: 0 };
                        let state = (base[half], sum[half], v_factor);
                        store(plan, shape, work, row, half, state, sums, sinks, parts, lse, out);
                    }
                }
                if let (Some(parts), Some(arrivals)) = (parts, arrivals) {
                    let tile = work.row_of(shape, work.head as usize, work.first);
                    if is_last(plan.threads(), arrivals, tile, launch, splits) {
                        combine(plan, plan.threads(), shape, work, sinks, parts, lse, out);
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
pub(super) fn begin_scores<T: Stored, const D: usize, const BN: usize>(
    queries: Tile<T>,
    keys: Tile<T>,
) -> InFlight<Wgmma<T, BN>>
where
    Wgmma<T, BN>: WgmmaAtom<Input = T, Sum = f32>,
{
    let mut scores = InFlight::<Wgmma<T, BN>>::zero();
    let depth = depth::<T>();
    for e in unroll(0..D / depth) {
        let (left, right) = (queries.k_major(0, depth * e), keys.k_major(0, depth * e));
        scores = wgmma(left, right, scores, e > 0);
    }
    wgmma_commit();
    scores
}

/// Begins `out + weights * values`, after a fence; values of bytes are there as columns.
#[device]
pub(super) fn begin_outputs<T: Stored, const DV: usize, const BN: usize>(
    weights: SumsAsFactor<Wgmma<T, DV>, Wgmma<T, BN>>,
    values: Tile<T>,
    out: InFlight<Wgmma<T, DV>>,
) -> InFlight<Wgmma<T, DV>>
where
    Wgmma<T, BN>: WgmmaAtom<Input = T, Sum = f32>,
    Wgmma<T, DV>: WgmmaAtom<Input = T, Sum = f32>,
{
    let mut out = out;
    for part in unroll(0..BN / depth::<T>()) {
        let key = part * depth::<T>();
        let right = match T::TYPE.size() {
            1 => values.k_major(0, key),
            _ => values.mn_major(0, key),
        };
        out = wgmma(weights.columns(key), right, out, true);
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

/// How far a product reaches along what is added up.
fn depth<T: Stored>() -> usize {
    32 / T::TYPE.size() as usize
}
