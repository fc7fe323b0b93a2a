//! Attention of a few queries to many keys, as when tokens are generated one by one: bound by reading keys
//! and values, which are divided among blocks ("Flash-Decoding", Dao et al., 2023).

use std::f32::consts::LOG2_E;

use kernelsmith::prelude::*;

use super::form::{Form, Score, end_seen, first_seen};
use super::online::{OnlineSoftmax2, log_sum_of};

/// Numbers of a part of a query's output besides its `D` sums: the maximum and the sum of its weights.
const STATE: usize = 2;

/// The length of a part, see [`attention_parts`].
pub(super) const fn part_len(dimension: usize) -> usize {
    dimension + STATE
}

/// The outputs of single queries over `chunk` keys each: `parts[head, query, split]` are `D` sums of values
/// by weight, the greatest score and the sum of weights, of keys `split * chunk` and on.
///
/// A block is one warp and takes one part. The lanes share out a row of K for a score, which then stays with
/// one lane of as many as there are keys in a tile; weights go back to all lanes for V.
#[kernel(
    block = warp_size(),
    requires = (parts.tile(0) == 1, parts.shape(1) == D + 2, parts.tile(1) == D + 2, group >= 1),
)]
pub fn attention_parts<T: Float, K: Float, const D: usize>(
    m: usize,
    n: usize,
    group: usize,
    window: usize,
    scale: f32,
    cap: f32,
    #[comptime] form: Form,
    score: impl Fn(f32, usize, usize, usize) -> f32 + Copy,
    splits: usize,
    chunk: usize,
    q: &[T],
    k: &[K],
    v: &[K],
    parts: &mut Part<f32, 2>,
) {
    if parts.count(0) == 0 {
        return;
    }
    let lane = thread_idx_x();
    let part = parts.global(0, 0);
    let (split, row) = (part % splits, part / splits);
    let (query, head) = (row % m, row / m);
    let kv_head = head / group;
    let k = &k[kv_head * n * D..(kv_head + 1) * n * D];
    let v = &v[kv_head * n * D..(kv_head + 1) * n * D];
    let q = &q[row * D..(row + 1) * D];
    let from = first_seen(form, query, m, n, window).max(split * chunk);
    let end = end_seen(form, query, m, n).min(split * chunk + chunk);

    let scale = if form.capped || form.scored { scale } else { scale * LOG2_E };
    // A lane has every so manieth column.
    let count = D.div_ceil(warp_size());
    let mut queries = [0.0; 4];
    let mut sums = [0.0; 4];
    for i in unroll(0..count) {
        let e = lane + i * warp_size();
        queries[i] = if e < D { q[e].to_f32() * scale } else { 0.0 };
    }
    let mut softmax = OnlineSoftmax2::new();
    for j0 in (from..end).step_by(warp_size()) {
        let keys = (end - j0).min(warp_size());
        let k = &k[j0 * D..(j0 + keys) * D];
        let mut mine = f32::NEG_INFINITY;
        for j in 0..keys {
            let row = &k[j * D..(j + 1) * D];
            let mut dot = 0.0;
            for i in unroll(0..count) {
                let e = lane + i * warp_size();
                if e < D {
                    dot = queries[i].mul_add(row[e].to_f32(), dot);
                }
            }
            let dot = warp_sum(dot);
            if lane == j {
                mine = dot;
            }
        }
        if form.capped || form.scored {
            let at = Score { head, query, key: j0 + lane };
            if lane < keys {
                mine = at.finish(form, mine, cap, score) * LOG2_E;
            }
        }
        let factor = softmax.rescale(warp_max(mine));
        let weight = softmax.weight(mine);
        let v = &v[j0 * D..(j0 + keys) * D];
        for i in unroll(0..count) {
            sums[i] *= factor;
        }
        for j in 0..keys {
            let row = &v[j * D..(j + 1) * D];
            let p = shuffle(weight, j as u32);
            for i in unroll(0..count) {
                let e = lane + i * warp_size();
                if e < D {
                    sums[i] = row[e].to_f32().mul_add(p, sums[i]);
                }
            }
        }
    }
    // Each lane has summed its own weights.
    let sum = warp_sum(softmax.sum());
    for i in unroll(0..count + 1) {
        if parts.owns([0, i]) {
            let e = lane + i * warp_size();
            let state = if e == D { softmax.max() } else { sum };
            parts[[0, i]] = if i < count && e < D { sums[i.min(3)] } else { state };
        }
    }
}

/// Outputs from their parts and, where wanted, the logarithms of the sums of exponentials, one a row.
#[kernel(
    block = warp_size(),
    requires = (
        parts.len() >= out.shape(0) * splits * (D + 2),
        out.shape(1) == D,
        out.tile(0) == 1,
        out.tile(1) == D,
    ),
)]
pub fn combine_parts<const D: usize>(
    splits: usize,
    parts: &[f32],
    lse: Option<&mut Part<f32, 1>>,
    out: &mut Part<f32, 2>,
) {
    if out.count(0) == 0 {
        return;
    }
    let row = out.global(0, 0);
    let mut max = f32::NEG_INFINITY;
    for s in 0..splits {
        max = max.max(parts[(row * splits + s) * (D + 2) + D]);
    }
    let base = if max == f32::NEG_INFINITY { 0.0 } else { max };
    let mut sum = 0.0;
    for s in 0..splits {
        let at = (row * splits + s) * (D + 2);
        sum += (parts[at + D] - base).exp2_fast() * parts[at + D + 1];
    }
    if let Some(lse) = lse {
        if lse.owns([0]) {
            lse[0] = log_sum_of(max, sum);
        }
    }
    let scale = if sum > 0.0 { 1.0 / sum } else { 0.0 };
    for j in 0..out.count(1) {
        let e = out.global(1, j);
        let mut value = 0.0;
        for s in 0..splits {
            let at = (row * splits + s) * (D + 2);
            value = parts[at + e].mul_add((parts[at + D] - base).exp2_fast(), value);
        }
        out[[0, j]] = value * scale;
    }
}
