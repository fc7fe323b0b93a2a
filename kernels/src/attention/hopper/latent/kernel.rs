//! One warpgroup copies, two take 64 rows through the keys, each with half of the values' columns.

use kernelsmith::prelude::*;

use super::super::clear::{Threads, clear};
use super::super::combine::{combine, is_last};
use super::super::config::{Plan, STAGES, panel};
use super::super::copies::{Copies, copy};
use super::super::forward::{begin_scores, rescaled};
use super::super::output::{Row, store};
use super::super::rows::{TwoRows, differ};
use super::super::scores::{Queries, ScoreFn, pass_of, passes, score_scale};
use super::super::work::{Lengths, Shape, Who};
use super::exchange::{BOTH, Exchange, weights_of};
use super::plan::{COLUMNS, HALF, KEYS, ROWS, SHARES, VALUES};
use crate::attention::element::AttentionElement;
use crate::attention::form::{Form, end_seen, first_seen};

/// Attention of many heads of queries to one head of keys, whose first columns are the values; tensors,
/// sequences, sinks and sums are those of [`attention_forward`](super::super::attention_forward), where
/// `group` heads, a divisor of all `heads`, share a block's rows: queries are
/// `outer x heads / group x rows x group x 576`.
///
/// Of each tile one warpgroup multiplies queries by keys, weighs the scores, and puts the weights where the last
/// columns of these keys were, which are no values; both add the tile's values by them to their half of the
/// outputs. So one warpgroup's exponentials run under the other's products, and a tile is free for the next but one
/// keys before the next ones' scores begin.
#[kernel(
    block = 384,
    requires = (
        m >= 1, heads >= 1, group >= 1, splits >= 1, section >= 1,
        out.stride(3) == 1, out.shape(3) == VALUES,
    ),
)]
pub fn attention_latent<T: Float + AttentionElement, O: Num>(
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
    q_ends: Option<&[u32]>,
    k_ends: Option<&[u32]>,
    lengths: Option<&[u32]>,
    table: Option<&View<u32, 2>>,
    sinks: Option<&[f32]>,
    launch: u64,
    parts: Option<&mut [f32]>,
    arrivals: Option<&mut [u64]>,
    lse: Option<&mut View<f32, 3>>,
    out: &mut View<O, 4>,
) where
    Wgmma<T, KEYS>: WgmmaAtom<Input = T, Sum = f32>,
    Wgmma<T, HALF>: WgmmaAtom<Input = T, Sum = f32>,
{
    let q_box = q.tile([1, 1, plan.own_queries(), plan.pack, panel(COLUMNS, 2)], Swizzle::B128);
    let k_box = k.tile([1, 1, plan.copied(KEYS), panel(COLUMNS, 2)], Swizzle::B128);
    let q_tiles = tiles::<T>(1, [ROWS, COLUMNS], Swizzle::B128);
    let k_tiles = tiles::<T>(STAGES, [KEYS, COLUMNS], Swizzle::B128);
    let exchange = Exchange::new();
    let (q_fill, q_use) = pipeline::<1>(2).split();
    let (k_fill, k_use) = pipeline::<STAGES>(2).split();

    let shape = Shape { m, n, batch, heads, group, window, splits, section };
    let of = Lengths { q_ends, k_ends, lengths, q_rows: q.shape(2), k_rows: k.shape(2) };
    let pieces = shape.pieces(plan);
    if warpgroup_id() == 0 {
        lower_registers(SHARES.0);
        if warp_id() == 0 {
            if elect() {
                let copies = Copies {
                    q_box,
                    k_box,
                    q_tiles,
                    k_tiles,
                    queries: q_fill,
                    keys: k_fill,
                    values: None,
                };
                copy(plan, form, KEYS, shape, of, table, k.shape(0), copies);
            }
        }
    } else {
        raise_registers(SHARES.1);
        let own = warpgroup_id() - 1;
        // SAFETY: the block has three warpgroups, of which number 0 does not come here.
        unsafe { assume(own < 2usize) };
        let column = own * HALF;
        let leads = thread_idx_x() % 128 == 0;
        let (q_use, k_use) = (q_use.led_by(leads), k_use.led_by(leads));
        let to_exponents = score_scale(form, scale);
        let mut index = block_idx_x();
        while index < pieces {
            let work = shape.work(plan, form, KEYS, Who::Warps, index, of);
            index += grid_dim_x();
            if work.exists() {
                let (first, lo, hi) = (work.first, work.lo, work.hi);
                let last = first + (plan.queries() - 1);
                let (m, n) = (work.own.len, work.keys.len);
                let asked = Queries::of::<T, KEYS>(plan, form, shape, work, first);
                let mut rows = TwoRows::new();
                let mut sums = Fragment::<Wgmma<T, HALF>, Accumulator>::zero();
                let q_stage = q_use.wait();
                let queries = q_tiles.stage(0);
                if lo < hi {
                    if plan.ragged {
                        if hi * KEYS > n {
                            let keys = k_tiles.stage(k_use.peek());
                            clear(keys, n - (hi - 1) * KEYS, Threads::multiplying(BOTH));
                        }
                    }
                    // Tiles that all of these queries see, `low` to `high`; the last one is always masked.
                    let high = (end_seen(form, first, m, n) / KEYS).max(lo).min(hi - 1);
                    let low = first_seen(form, last, m, n, window).div_ceil(KEYS).max(lo).min(high);
                    for pass in unroll(0..passes(form)) {
                        let (from, to, crossed) = pass_of(pass, [lo, low, high, hi]);
                        for tile in (from..to).rev() {
                            let stage = k_use.wait();
                            let keys = k_tiles.stage(stage.index());
                            let mut factors = [1.0; 2];
                            if (hi - 1 - tile) % 2 == own {
                                wgmma_fence();
                                let scores = begin_scores::<T, COLUMNS, KEYS>(queries, keys).wait();
                                let scores = asked.finish(
                                    form,
                                    score,
                                    (scale, cap),
                                    crossed,
                                    scores,
                                    tile * KEYS,
                                );
                                let (weighed, own_factors, _) =
                                    rows.weigh(plan, scores, to_exponents);
                                exchange.give(own, keys, weighed, rows.bases());
                                factors = own_factors;
                            } else {
                                factors = rows.follow(exchange.take(own));
                            }
                            let factors = factors;
                            let so_far = rescaled(sums, factors, differ(factors));
                            wgmma_fence();
                            sums = begin_values(keys, column, so_far.into()).wait();
                            stage.release();
                        }
                    }
                }
                q_stage.release();
                let (base, sum) = exchange.whole(own, rows);
                for half in unroll(0..2usize) {
                    let (query, head) = asked.row(half);
                    if (query as usize) < m && head < work.head + shape.together(plan) {
                        let row = Row { head, query, column };
                        let state = (base[half], sum[half], 1.0);
                        store(plan, shape, work, row, half, state, sums, sinks, parts, lse, out);
                    }
                }
                if let (Some(parts), Some(arrivals)) = (parts, arrivals) {
                    let tile = work.row_of(shape, work.head as usize, work.first);
                    if is_last(BOTH, arrivals, tile, launch, splits) {
                        combine(plan, BOTH, shape, work, sinks, parts, lse, out);
                    }
                }
            }
            // Blocks that share keys have a piece each: with a loop around it, ptxas takes what does not change
            // to before it, and spills 7 registers.
            if parts.is_some() {
                break;
            }
        }
    }
}

/// Begins `out + weights * values`, after a fence: the values are columns `column` on of the keys, the weights lie
/// where the last columns were.
fn begin_values<T: Float>(
    keys: Tile<T>,
    column: Val<usize>,
    out: InFlight<Wgmma<T, HALF>>,
) -> InFlight<Wgmma<T, HALF>>
where
    Wgmma<T, HALF>: WgmmaAtom<Input = T, Sum = f32>,
{
    let mut out = out;
    for key in (0..KEYS).step_by(16) {
        let weights = weights_of(keys).k_major(0, key);
        out = wgmma(weights, keys.mn_major(column, key), out, true);
    }
    wgmma_commit();
    out
}
