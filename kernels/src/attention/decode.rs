//! Attention of a few queries to many keys, as when tokens are generated one by one: bound by reading keys
//! and values, which are divided among blocks ("Flash-Decoding", Dao et al., 2023) and read once for all
//! heads of queries that share them.

use std::f32::consts::LOG2_E;

use kernelsmith::prelude::*;

use super::decode_tiles::{Columns, Run, Tiles};
use super::form::{Form, Score, end_seen, first_seen};
use super::key_sums::{KEYS, group_of_lane, key_of_lane};
use super::lengths::{Apart, span};
use super::online::OnlineSoftmax2;
use super::words::Words;

/// Rows of a block at most, each a query of a head: more are divided among blocks that read the same keys.
pub(super) const ROWS: usize = 8;

/// Keys of a tile for each lane.
const OF_LANE: usize = 4;

/// Keys of a tile. All their scores come before their values, so that either is read in long runs.
pub(super) fn tile() -> usize {
    OF_LANE * warp_size()
}

/// Numbers of a part of a query's output besides its sums: the maximum and the sum of its weights.
pub(super) const STATE: usize = 2;

/// The length of a part of so many columns of values, see [`attention_parts`].
pub(super) const fn part_len(values: usize) -> usize {
    values + STATE
}

/// The outputs of a few queries over `chunk` keys each: of every query `dv` sums of values by weight, the
/// greatest score and the sum of weights, of keys `split * chunk` and on.
///
/// Tensors and sequences are those of [`attention_rows`](super::attention_rows), but K and V are views with
/// contiguous rows. With a `table`, they are `pages x kv_heads x page x d`: key `j` of a sequence is row
/// `j % page` of page `table[sequence, j / page]`.
///
/// The queries of the `group` heads that share a head of keys are the rows of one matrix, `group * m` of
/// them, queries fastest. A block is one warp and takes `rows` of these with one part of the keys:
/// `parts[sequence, kv_head, split, rows]`, each row `dv + 2` long, where the last block's may be more than
/// there are.
///
/// Words `W` are multiplied, of which K and V consist, or of what converts to them: single f32, or two bf16
/// along the columns. Then weights are rounded to bf16 before they are multiplied by values.
///
/// The lanes share out a row of K for a score; scores of eight keys are summed over the lanes together, and
/// each then stays with one lane of as many as there are keys. Weights go back to all lanes for V.
#[kernel(
    block = warp_size(),
    requires = (
        parts.tile(0) == 1, parts.shape(1) == rows * (dv + 2), parts.tile(1) == rows * (dv + 2),
        q.shape(1) == kv_heads * group, q.shape(1) >= 1, q.shape(3) == d, q.shape(0) >= 1,
        k.shape(1) == kv_heads, k.shape(3) * W::LEN == d, v.shape(3) * W::LEN == dv,
        k.stride(3) == 1, v.stride(3) == 1, v.shape(0) == k.shape(0), v.shape(1) == k.shape(1),
        v.shape(2) == k.shape(2), group >= 1, splits >= 1, m >= 1, kv_heads >= 1, batch >= 1,
        apart.queries * q.shape(0) == apart.queries * batch,
        apart.queries * q.shape(2) == apart.queries * m,
        apart.keys * k.shape(0) == apart.keys * batch,
    ),
)]
pub fn attention_parts<T: Float, K: Num, W: Words>(
    batch: usize,
    kv_heads: usize,
    m: usize,
    n: usize,
    group: usize,
    window: usize,
    scale: f32,
    cap: f32,
    #[comptime] d: usize,
    #[comptime] dv: usize,
    #[comptime] rows: usize,
    #[comptime] apart: Apart,
    #[comptime] form: Form,
    score: impl Fn(f32, usize, usize, usize) -> f32 + Copy,
    splits: usize,
    chunk: usize,
    q: &View<T, 4>,
    k: &View<K, 4>,
    v: &View<K, 4>,
    q_ends: Option<&[u32]>,
    k_ends: Option<&[u32]>,
    lengths: Option<&[u32]>,
    table: Option<&View<u32, 2>>,
    parts: &mut Part<f32, 2>,
) {
    if parts.count(0) == 0 {
        return;
    }
    let lane = thread_idx_x();
    let pieces = (group * m).div_ceil(rows).max(1);
    let part = parts.global(0, 0);
    let (piece, split, pair) = (part % pieces, part / pieces % splits, part / pieces / splits);
    let (kv_head, sequence) = (pair % kv_heads, pair / kv_heads % batch);
    let own = span(q_ends, None, sequence, batch, m, q.shape(2));
    let keys = span(k_ends, lengths, sequence, batch, n, k.shape(2));
    let (n, q_heads) = (keys.len, q.shape(1));
    if own.len == 0 {
        return;
    }
    // Rows that are not there are the last one again.
    let row_of = |r: usize| {
        let row = (piece * rows + r).min(group * m - 1);
        ((kv_head * group + row / m) % q_heads, (row % m).min(own.len - 1))
    };
    let (columns, values) = (Columns::<W>::new(d), Columns::<W>::new(dv));
    let tiles = Tiles::<W>::new(rows, d, dv);
    let scale = if form.capped || form.scored { scale } else { scale * LOG2_E };
    // Queries are scaled where that costs no precision, else scores.
    let q_scale = if W::LEN == 1 { scale } else { 1.0 };
    let (q, elements) = (q.outer(own.outer), tiles.queries.cast::<W::Element>());
    for r in range(0, rows) {
        let (head, query) = row_of(r);
        let q = q.outer(head).outer(own.first + query);
        for e in (lane..d).step_by(warp_size()) {
            elements[r * d + e] = (q[[e]].to_f32() * q_scale).cast::<W::Element>();
        }
        for e in (lane..dv).step_by(warp_size()) {
            tiles.outputs[r * part_len(dv) + e] = 0.0;
        }
    }
    barrier();
    let of_rows: [(usize, usize); ROWS] = array(|r| row_of(Val::<usize>::from(r.min(rows - 1))));
    // Keys of this part that some row sees.
    let from = first_seen(form, 0, own.len, n, window).max(split * chunk);
    let end = end_seen(form, own.len - 1, own.len, n).min(split * chunk + chunk);

    // Where key `j` is, and how many follow it there: all, or the rest of a page.
    let place = |j: usize| {
        if let Some(table) = table {
            let (page, at) = (j / k.shape(2), j % k.shape(2));
            (table[[sequence, page]] as usize, at, k.shape(2) - at)
        } else {
            (keys.outer, keys.first + j, end - j)
        }
    };
    let own_key = key_of_lane();
    let mut softmax: [OnlineSoftmax2; ROWS] = array(|_r| OnlineSoftmax2::new());
    let mut j0 = from;
    while j0 < end {
        let (outer, first, most) = place(j0);
        let count = most.min(end - j0).min(tile());
        let last = first + count - 1;
        let (next_outer, next, _most) = place((j0 + count).min(end - 1));
        let next_k = k.outer(next_outer).outer(kv_head);
        let (k, v) = (k.outer(outer).outer(kv_head), v.outer(outer).outer(kv_head));
        let there = k.shape(0);
        device_assert!(last < there, "there are {there} rows of keys, but not row {last}");

        let mut maxima: [f32; ROWS] = [f32::NEG_INFINITY; ROWS];
        for t in 0..count.div_ceil(warp_size()) {
            let first_key = t % OF_LANE * warp_size();
            let mut scores: [f32; ROWS] = [f32::NEG_INFINITY; ROWS];
            for g in 0..(count - first_key).min(warp_size()).div_ceil(KEYS) {
                let sums = columns.scores(rows, tiles, k, v, first + first_key + g * KEYS, last);
                let mine = group_of_lane() == g;
                for r in unroll(0..rows) {
                    scores[r] = Val::<f32>::select(mine, sums[r], scores[r]);
                }
            }
            let at = first_key + own_key;
            let key = j0 + at;
            for r in unroll(0..rows) {
                let (head, query) = of_rows[r];
                let mut s = if W::LEN == 1 { scores[r] } else { scores[r] * scale };
                if form.capped || form.scored {
                    let at = Score { head: sequence * q_heads + head, query, key };
                    s = at.finish(form, s, cap, score) * LOG2_E;
                }
                let first = first_seen(form, query, own.len, n, window);
                let seen = at < count && key < end_seen(form, query, own.len, n) && key >= first;
                let s = Val::<f32>::select(seen, s, f32::NEG_INFINITY);
                maxima[r] = maxima[r].max(s);
                tiles.scores[r * tile() + first_key + lane] = s;
            }
        }
        let mut factors = [0.0; ROWS];
        for r in unroll(0..rows) {
            factors[r] = softmax[r].rescale(warp_max(maxima[r]));
        }
        for t in 0..count.div_ceil(warp_size()) {
            for r in unroll(0..rows) {
                let at = r * tile() + t % OF_LANE * warp_size() + lane;
                let weight = softmax[r].weight(tiles.scores[at]).cast::<W::Element>();
                tiles.weights.cast::<W::Element>()[at] = weight;
            }
        }
        barrier();
        for r in unroll((0..rows).step_by(values.rows())) {
            let some = (r, (r + values.rows()).min(rows));
            values.add_values::<K>(some, tiles, factors, v, Run { first, last, next }, next_k);
        }
        barrier();
        j0 += count;
    }
    for r in unroll(0..rows) {
        // Each lane has summed its own weights.
        let sum = warp_sum(softmax[r].sum());
        if lane == 0 {
            tiles.outputs[r * part_len(dv) + dv] = softmax[r].max();
            tiles.outputs[r * part_len(dv) + dv + 1] = sum;
        }
    }
    barrier();
    for i in 0..parts.count(1) {
        let at = parts.global(1, i);
        parts[[0, i]] = if W::LEN == 1 {
            tiles.outputs[at]
        } else {
            tiles.outputs[at / part_len(dv) * part_len(dv) + values.place(at % part_len(dv))]
        };
    }
}
