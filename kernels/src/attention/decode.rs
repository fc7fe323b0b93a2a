//! Attention of a few queries to many keys, as when tokens are generated one by one: bound by reading keys
//! and values, which are divided among blocks ("Flash-Decoding", Dao et al., 2023).

use std::f32::consts::LOG2_E;

use kernelsmith::prelude::*;

use super::config::COLUMNS_OF_A_LANE;
use super::form::{Form, Score, end_seen, first_seen};
use super::lengths::span;
use super::online::{OnlineSoftmax2, inverse_of, log_sum_of};

/// Numbers of a part of a query's output besides its sums: the maximum and the sum of its weights.
const STATE: usize = 2;

/// The length of a part, see [`attention_parts`].
pub(super) const fn part_len(dimension: usize) -> usize {
    dimension + STATE
}

/// The outputs of single queries over `chunk` keys each: `parts[sequence, head, query, split]` are `d` sums of
/// values by weight, the greatest score and the sum of weights, of keys `split * chunk` and on.
///
/// Tensors and sequences are those of [`attention_rows`](super::attention_rows), but K and V are views with
/// contiguous rows. With a `table`, they are `pages x kv_heads x page x d`: key `j` of a sequence is row
/// `j % page` of page `table[sequence, j / page]`.
///
/// A block is one warp and takes one part. The lanes share out a row of K for a score, which then stays with
/// one lane of as many as there are keys in a tile; weights go back to all lanes for V.
#[kernel(
    block = warp_size(),
    requires = (
        parts.tile(0) == 1, parts.shape(1) == d + 2, parts.tile(1) == d + 2,
        q.shape(3) == d, k.shape(3) == d, v.shape(3) == d, k.stride(3) == 1, v.stride(3) == 1,
        v.shape(0) == k.shape(0), v.shape(1) == k.shape(1),
        v.shape(2) == k.shape(2), group >= 1, splits >= 1, m >= 1, heads >= 1,
    ),
)]
pub fn attention_parts<T: Float, K: Float>(
    batch: usize,
    heads: usize,
    m: usize,
    n: usize,
    group: usize,
    window: usize,
    scale: f32,
    cap: f32,
    #[comptime] d: usize,
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
    let part = parts.global(0, 0);
    let (split, row) = (part % splits, part / splits);
    let (query, head) = (row % m, row / m % heads);
    let sequence = row / m / heads;
    let own = span(q_ends, None, sequence, batch, m, q.shape(2));
    let keys = span(k_ends, lengths, sequence, batch, n, k.shape(2));
    let (m, n) = (own.len, keys.len);
    if query >= m {
        return;
    }
    let kv_head = head / group;
    let q = q.outer(own.outer).outer(head).outer(own.first + query);
    let from = first_seen(form, query, m, n, window).max(split * chunk);
    let end = end_seen(form, query, m, n).min(split * chunk + chunk);

    let scale = if form.capped || form.scored { scale } else { scale * LOG2_E };
    // A lane has every so manieth column.
    let count = d.div_ceil(warp_size());
    let mut queries = [0.0; COLUMNS_OF_A_LANE];
    let mut sums = [0.0; COLUMNS_OF_A_LANE];
    for i in unroll(0..count) {
        let e = lane + i * warp_size();
        queries[i] = if e < d { q[[e]].to_f32() * scale } else { 0.0 };
    }
    let mut softmax = OnlineSoftmax2::new();
    let mut j0 = from;
    while j0 < end {
        // Rows of one page at a time.
        let (outer, first, most) = if let Some(table) = table {
            let (page, at) = (j0 / k.shape(2), j0 % k.shape(2));
            (table[[sequence, page]] as usize, at, k.shape(2) - at)
        } else {
            (keys.outer, keys.first + j0, end - j0)
        };
        let (k, v) = (k.outer(outer).outer(kv_head), v.outer(outer).outer(kv_head));
        let tile = most.min(end - j0).min(warp_size());
        let mut mine = f32::NEG_INFINITY;
        for j in 0..tile {
            let row = k.outer(first + j);
            let mut dot = 0.0;
            for i in unroll(0..count) {
                let e = lane + i * warp_size();
                if e < d {
                    dot = queries[i].mul_add(row[[e]].to_f32(), dot);
                }
            }
            let dot = warp_sum(dot);
            if lane == j {
                mine = dot;
            }
        }
        if form.capped || form.scored {
            let at = Score { head: sequence * heads + head, query, key: j0 + lane };
            if lane < tile {
                mine = at.finish(form, mine, cap, score) * LOG2_E;
            }
        }
        let factor = softmax.rescale(warp_max(mine));
        let weight = softmax.weight(mine);
        for i in unroll(0..count) {
            sums[i] *= factor;
        }
        for j in 0..tile {
            let row = v.outer(first + j);
            let p = shuffle(weight, j as u32);
            for i in unroll(0..count) {
                let e = lane + i * warp_size();
                if e < d {
                    sums[i] = row[[e]].to_f32().mul_add(p, sums[i]);
                }
            }
        }
        j0 += tile;
    }
    // Each lane has summed its own weights.
    let sum = warp_sum(softmax.sum());
    for i in unroll(0..count + 1) {
        if parts.owns([0, i]) {
            let e = lane + i * warp_size();
            let state = if e == d { softmax.max() } else { sum };
            let last = COLUMNS_OF_A_LANE - 1;
            parts[[0, i]] = if i < count && e < d { sums[i.min(last)] } else { state };
        }
    }
}

/// Outputs `batch x heads x rows x d` from their parts, and `lse: batch x heads x rows` where wanted; with
/// sinks, see [`attention_rows`](super::attention_rows). A block is one warp and takes one of the
/// `rows` queries of all heads and sequences.
#[kernel(
    block = warp_size(),
    requires = (
        out.shape(3) == d, parts.len() >= rows * splits * (d + 2), splits >= 1, m >= 1, heads >= 1,
    ),
)]
pub fn combine_parts<O: Num>(
    rows: usize,
    batch: usize,
    heads: usize,
    m: usize,
    splits: usize,
    #[comptime] d: usize,
    parts: &[f32],
    q_ends: Option<&[u32]>,
    sinks: Option<&[f32]>,
    lse: Option<&mut View<f32, 3>>,
    out: &mut View<O, 4>,
) {
    let (lane, row) = (thread_idx_x(), block_idx_x());
    if row >= rows {
        return;
    }
    let (query, head) = (row % m, row / m % heads);
    let own = span(q_ends, None, row / m / heads, batch, m, out.shape(2));
    if query >= own.len {
        return;
    }
    let len = d + STATE;
    let mut max = f32::NEG_INFINITY;
    for s in 0..splits {
        max = max.max(parts[(row * splits + s) * len + d]);
    }
    if let Some(sinks) = sinks {
        max = max.max(sinks[head] * LOG2_E);
    }
    let base = if max == f32::NEG_INFINITY { 0.0 } else { max };
    let mut sum = 0.0;
    for s in 0..splits {
        sum += (parts[(row * splits + s) * len + d] - base).exp2_fast()
            * parts[(row * splits + s) * len + d + 1];
    }
    if let Some(sinks) = sinks {
        sum += (sinks[head] * LOG2_E - base).exp2_fast();
    }
    if let Some(lse) = lse {
        if lane == 0 {
            let lse = lse.outer(own.outer).outer(head);
            lse[[own.first + query]] = log_sum_of(max, sum);
        }
    }
    let scale = inverse_of(sum);
    let out = out.outer(own.outer).outer(head).outer(own.first + query);
    for e in (lane..d).step_by(warp_size()) {
        let mut value = 0.0;
        for s in 0..splits {
            let weight = (parts[(row * splits + s) * len + d] - base).exp2_fast();
            value = parts[(row * splits + s) * len + e].mul_add(weight, value);
        }
        out[[e]] = (value * scale).cast::<O>();
    }
}
