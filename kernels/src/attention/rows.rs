//! The CPU's flash attention: a thread a query, keys and values read where they are.

use std::f32::consts::LOG2_E;

use kernelsmith::prelude::*;

use super::form::{Form, Score, end_seen, first_seen};
use super::online::OnlineSoftmax2;

/// Queries of a block: the lanes of a warp.
pub(super) const QUERIES: usize = 32;

/// Keys of a tile: few enough for scores, keys and values to stay in the L2 cache.
pub(super) const KEYS: usize = 96;

/// Flash attention (Dao et al., 2022) for a block of one warp, one thread a query.
///
/// `Q, O: m x D`, `K, V: n x D`, row-major, of each head; `group` heads, which are blocks along y, have
/// one head of keys. Sums stay in registers: of the scores of 12 keys, then of 8
/// columns of the output; each element of K and V is broadcast to a warp's queries. The columns of the
/// transposed query, score and output tiles belong to one thread each, so no score crosses threads.
/// K and V are best f32: each element is converted by each block.
///
/// Tiles that no query of the block sees are skipped, and only tiles that some query sees in part are
/// masked. Causal blocks with the most to see run first. `lse: m` of each head, where wanted, are the
/// logarithms of the sums of exponentials.
#[kernel(
    block = QUERIES,
    requires = (q.len() >= m * D, k.len() >= n * D, v.len() >= n * D, out.len() >= m * D, group >= 1),
)]
pub fn attention_rows<T: Float, K: Float, const D: usize>(
    m: usize,
    n: usize,
    group: usize,
    window: usize,
    scale: f32,
    cap: f32,
    #[comptime] form: Form,
    score: impl Fn(f32, usize, usize, usize) -> f32 + Copy,
    q: &[T],
    k: &[K],
    v: &[K],
    lse: Option<&mut [f32]>,
    out: &mut [f32],
) {
    let lane = thread_idx_x();
    let block = if form.causal { grid_dim_x() - 1 - block_idx_x() } else { block_idx_x() };
    let row0 = block * QUERIES;
    let row = row0 + lane;
    let head = block_idx_y();
    let kv_head = head / group;
    let q = &q[head * m * D..(head + 1) * m * D];
    let k = &k[kv_head * n * D..(kv_head + 1) * n * D];
    let v = &v[kv_head * n * D..(kv_head + 1) * n * D];
    let q_tile = shared::<f32>(D * QUERIES); // [column][query]
    let o_tile = shared::<f32>(D * QUERIES); // [column][query]
    let s_tile = shared::<f32>(KEYS * QUERIES); // [key][query]

    // Scores are to be exponents of 2. Where they are worked on, that comes last.
    let scale = if form.capped || form.scored { scale } else { scale * LOG2_E };
    for e in range(0, D) {
        q_tile[e * QUERIES + lane] = if row < m { q[row * D + e].to_f32() * scale } else { 0.0 };
        o_tile[e * QUERIES + lane] = 0.0;
    }
    // Keys that this thread's query sees, and that all queries of the block do.
    let (from, end) = (first_seen(form, row, m, n, window), end_seen(form, row, m, n));
    let row1 = (row0 + QUERIES - 1).min(m - 1);
    let (all_from, all_end) = (first_seen(form, row1, m, n, window), end_seen(form, row0, m, n));
    // And that some query of the block sees.
    let (begin, last) = (first_seen(form, row0, m, n, window), end_seen(form, row1, m, n));

    let mut softmax = OnlineSoftmax2::new();
    for j0 in (begin..last).step_by(KEYS) {
        let count = (last - j0).min(KEYS);
        scores::<K, D>(q_tile, s_tile, count, &k[j0 * D..(j0 + count) * D]);
        if form.capped || form.scored {
            for j in 0..count {
                let at = Score { head, query: row, key: j0 + j };
                let s = s_tile[j * QUERIES + lane];
                s_tile[j * QUERIES + lane] = at.finish(form, s, cap, score) * LOG2_E;
            }
        }
        if j0 + count > all_end || j0 < all_from {
            for j in 0..count {
                let key = j0 + j;
                if key >= end || (form.windowed && key < from) {
                    s_tile[j * QUERIES + lane] = f32::NEG_INFINITY;
                }
            }
        }
        let mut max = f32::NEG_INFINITY;
        for j in 0..count {
            max = max.max(s_tile[j * QUERIES + lane]);
        }
        let factor = softmax.rescale(max);
        for j in 0..count {
            s_tile[j * QUERIES + lane] = softmax.weight(s_tile[j * QUERIES + lane]);
        }
        outputs::<K, D>(s_tile, o_tile, factor, count, &v[j0 * D..(j0 + count) * D]);
    }

    let out = &mut out[head * m * D..(head + 1) * m * D];
    if row < m {
        let scale = softmax.scale();
        for e in range(0, D) {
            out[row * D + e] = o_tile[e * QUERIES + lane] * scale;
        }
        if let Some(lse) = lse {
            lse[head * m + row] = softmax.log_sum();
        }
    }
}

/// The scores of `count` keys.
#[device]
fn scores<K: Float, const D: usize>(
    q_tile: Shared<f32>,
    s_tile: Shared<f32>,
    count: usize,
    k: &[K],
) {
    let mut j = 0;
    while j + 12 <= count {
        scores_of::<K, 12, D>(q_tile, s_tile, j, &k[j * D..(j + 12) * D]);
        j += 12;
    }
    while j + 4 <= count {
        scores_of::<K, 4, D>(q_tile, s_tile, j, &k[j * D..(j + 4) * D]);
        j += 4;
    }
    while j < count {
        scores_of::<K, 1, D>(q_tile, s_tile, j, &k[j * D..(j + 1) * D]);
        j += 1;
    }
}

#[device]
fn scores_of<K: Float, const TJ: usize, const D: usize>(
    q_tile: Shared<f32>,
    s_tile: Shared<f32>,
    j0: usize,
    k: &[K],
) {
    let lane = thread_idx_x();
    let mut s = [0.0; TJ];
    for e in range(0, D) {
        let q = q_tile[e * QUERIES + lane];
        for j in unroll(0..TJ) {
            s[j] = k[j * D + e].to_f32().mul_add(q, s[j]);
        }
    }
    for j in unroll(0..TJ) {
        s_tile[(j0 + j) * QUERIES + lane] = s[j];
    }
}

/// Adds the values of `count` keys by their weights to the outputs, after multiplying those by `factor`.
#[device]
fn outputs<K: Float, const D: usize>(
    s_tile: Shared<f32>,
    o_tile: Shared<f32>,
    factor: f32,
    count: usize,
    v: &[K],
) {
    let lane = thread_idx_x();
    for e0 in range(0, D).step_by(8) {
        let mut acc: [f32; 8] = array(|e| o_tile[(e0 + e) * QUERIES + lane] * factor);
        for j in 0..count {
            let (p, v) = (s_tile[j * QUERIES + lane], &v[j * D + e0..j * D + e0 + 8]);
            for e in unroll(0..8) {
                acc[e] = v[e].to_f32().mul_add(p, acc[e]);
            }
        }
        for e in unroll(0..8) {
            o_tile[(e0 + e) * QUERIES + lane] = acc[e];
        }
    }
}
