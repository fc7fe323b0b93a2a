//! The CPU's flash attention: a thread a query, keys and values read where they are.

use std::f32::consts::LOG2_E;

use kernelsmith::prelude::*;

use super::cpu_config::RowsTile;
use super::form::{Form, Score, end_seen, first_seen};
use super::lengths::span;
use super::online::OnlineSoftmax2;
use super::words::Words;

/// Flash attention (Dao et al., 2022), one thread a query, `tile.queries` of them a block: one warp or more,
/// which take `tile.keys` keys one after the other.
///
/// `q, out: batch x heads x rows x d`, of any strides, `k, v: batch x kv_heads x k_rows x d`, row-major, where
/// `out` and `v` have `dv` columns instead; of sequences with `m` queries and `n` keys; `group` heads have one head of keys. Blocks along y are heads,
/// along z sequences. With `q_ends` or `k_ends` the sequences follow each other along the rows of a single
/// one of a batch, and sequence `i` has rows `ends[i]..ends[i + 1]`; with `lengths` each has that many keys,
/// in the first of its rows. Then `m` and `n` are the most that a sequence has.
///
/// Sums stay in registers: of the scores of 12 keys, then of 8
/// columns of the output; each element of K and V is broadcast to a warp's queries. The columns of the
/// transposed query, score and output tiles belong to one thread each, so no score crosses threads.
/// What is multiplied are words, single f32 or two bf16, and K and V consist of such, or of what converts
/// to them. Words of two are of K along columns, `k_rows x d / 2` words of a head, and of V along
/// rows, half of `k_rows`, rounded up, `x dv`; then each sequence has its own `k_rows`, also with `k_ends`,
/// which end at `tokens`, and weights are rounded to bf16 before they are multiplied by values.
///
/// Tiles that no query of the block sees are skipped, and only tiles that some query sees in part are
/// masked. Causal blocks with the most to see run first. `sinks`, one a head, are scores whose weights join
/// the sums that weights are divided by. `lse: batch x heads x rows`, where wanted, are the logarithms of
/// these sums.
#[kernel(
    block = tile.queries,
    requires = (
        q.shape(3) == d, group >= 1, out.shape(0) == q.shape(0), out.shape(1) == q.shape(1),
        out.shape(2) == q.shape(2), out.shape(3) == dv,
    ),
)]
pub fn attention_rows<T: Float, K: Num, W: Words, O: Num>(
    m: usize,
    n: usize,
    k_rows: usize,
    tokens: usize,
    group: usize,
    window: usize,
    scale: f32,
    cap: f32,
    #[comptime] d: usize,
    #[comptime] dv: usize,
    #[comptime] tile: RowsTile,
    #[comptime] form: Form,
    score: impl Fn(f32, usize, usize, usize) -> f32 + Copy,
    q: &View<T, 4>,
    k: &[K],
    v: &[K],
    q_ends: Option<&[u32]>,
    k_ends: Option<&[u32]>,
    lengths: Option<&[u32]>,
    sinks: Option<&[f32]>,
    lse: Option<&mut View<f32, 3>>,
    out: &mut View<O, 4>,
) {
    let lane = thread_idx_x();
    let block = if form.causal { grid_dim_x() - 1 - block_idx_x() } else { block_idx_x() };
    let (row0, head, sequence) = (block * tile.queries, block_idx_y(), block_idx_z());
    let own = span(q_ends, None, sequence, grid_dim_z(), m, q.shape(2));
    let keys = span(k_ends, lengths, sequence, grid_dim_z(), n, tokens);
    let (m, n) = (own.len, keys.len);
    if row0 >= m {
        return;
    }
    let row = row0 + lane;
    let keys = if W::LEN == 1 { keys } else { keys.alone(sequence) };
    let matrix = keys.outer * (grid_dim_y() / group) + head / group;
    let base = matrix * k_rows + keys.first;
    let width = d / W::LEN;
    let k = &k[base * width..(base + n) * width];
    let base = if W::LEN == 1 { base } else { matrix * k_rows.div_ceil(W::LEN) };
    let v = &v[base * dv..(base + n.div_ceil(W::LEN)) * dv];
    let q_tile = shared::<W>(width * tile.queries); // [column][query]
    let o_tile = shared::<f32>(dv * tile.queries); // [column][query]
    let s_tile = shared::<f32>(tile.keys * tile.queries); // [key][query]

    // Scores are to be exponents of 2. Where they are worked on, that comes last.
    let scale = if form.capped || form.scored { scale } else { scale * LOG2_E };
    // Queries are scaled where that costs no precision, else scores.
    let q_scale = if W::LEN == 1 { scale } else { 1.0 };
    let q = q.outer(own.outer).outer(head);
    if row < m {
        let q = q.outer(own.first + row);
        for e in range(0, width) {
            q_tile[e * tile.queries + lane] = W::join(|i| q[[e * W::LEN + i]].to_f32() * q_scale);
        }
    } else {
        for e in range(0, width) {
            q_tile[e * tile.queries + lane] = W::join(|_i| 0.0);
        }
    }
    for e in range(0, dv) {
        o_tile[e * tile.queries + lane] = 0.0;
    }
    // Keys that this thread's query sees, and that all queries of the block do.
    let (from, end) = (first_seen(form, row, m, n, window), end_seen(form, row, m, n));
    let row1 = (row0 + tile.queries - 1).min(m - 1);
    let (all_from, all_end) = (first_seen(form, row1, m, n, window), end_seen(form, row0, m, n));
    // And that some query of the block sees.
    let (begin, last) = (first_seen(form, row0, m, n, window), end_seen(form, row1, m, n));

    // Whole words of values.
    let begin = begin / W::LEN * W::LEN;
    let p_tile = s_tile.cast::<W>(); // [word of keys][query]
    let mut softmax = OnlineSoftmax2::new();
    for j0 in (begin..last).step_by(tile.keys) {
        let count = (last - j0).min(tile.keys);
        scores(
            q_tile,
            s_tile,
            tile.queries,
            count,
            width,
            scale,
            &k[j0 * width..(j0 + count) * width],
        );
        if form.capped || form.scored {
            let head = sequence * grid_dim_y() + head;
            for j in 0..count {
                let at = Score { head, query: row, key: j0 + j };
                let s = s_tile[j * tile.queries + lane];
                s_tile[j * tile.queries + lane] = at.finish(form, s, cap, score) * LOG2_E;
            }
        }
        if j0 + count > all_end || j0 < all_from {
            for j in 0..count {
                let key = j0 + j;
                if key >= end || (form.windowed && key < from) {
                    s_tile[j * tile.queries + lane] = f32::NEG_INFINITY;
                }
            }
        }
        let mut max = f32::NEG_INFINITY;
        for j in 0..count {
            max = max.max(s_tile[j * tile.queries + lane]);
        }
        let factor = softmax.rescale(max);
        let words = count.div_ceil(W::LEN);
        if W::LEN > 1 {
            if count % W::LEN != 0 {
                s_tile[count * tile.queries + lane] = f32::NEG_INFINITY;
            }
        }
        for j in 0..words {
            let mut weights = [0.0; 2];
            for i in unroll(0..W::LEN) {
                weights[i] = softmax.weight(s_tile[(j * W::LEN + i) * tile.queries + lane]);
            }
            let weights = weights;
            p_tile[j * tile.queries + lane] = W::join(|i| weights[i]);
        }
        let v0 = j0 / W::LEN;
        outputs(p_tile, o_tile, tile.queries, factor, words, dv, &v[v0 * dv..(v0 + words) * dv]);
        if tile.queries > warp_size() {
            // The next warp takes the same keys, while caches have them.
            barrier();
        }
    }

    if row < m {
        let mut factor = 1.0;
        if let Some(sinks) = sinks {
            factor = softmax.join(sinks[head] * LOG2_E);
        }
        let scale = factor * softmax.scale();
        let out = out.outer(own.outer).outer(head).outer(own.first + row);
        for e in range(0, dv) {
            out[[e]] = (o_tile[e * tile.queries + lane] * scale).cast::<O>();
        }
        if let Some(lse) = lse {
            let lse = lse.outer(own.outer).outer(head);
            lse[[own.first + row]] = softmax.log_sum();
        }
    }
}

/// The scores of `count` keys, of rows of as many words.
#[device]
fn scores<K: Num, W: Words>(
    q_tile: Shared<W>,
    s_tile: Shared<f32>,
    #[comptime] queries: usize,
    count: usize,
    #[comptime] width: usize,
    scale: f32,
    k: &[K],
) {
    let mut j = 0;
    while j + 12 <= count {
        let k = &k[j * width..(j + 12) * width];
        scores_of::<K, W, 12>(q_tile, s_tile, queries, j, width, scale, k);
        j += 12;
    }
    while j + 4 <= count {
        let k = &k[j * width..(j + 4) * width];
        scores_of::<K, W, 4>(q_tile, s_tile, queries, j, width, scale, k);
        j += 4;
    }
    while j < count {
        let k = &k[j * width..(j + 1) * width];
        scores_of::<K, W, 1>(q_tile, s_tile, queries, j, width, scale, k);
        j += 1;
    }
}

#[device]
fn scores_of<K: Num, W: Words, const TJ: usize>(
    q_tile: Shared<W>,
    s_tile: Shared<f32>,
    #[comptime] queries: usize,
    j0: usize,
    #[comptime] width: usize,
    scale: f32,
    k: &[K],
) {
    let lane = thread_idx_x();
    let mut s = [0.0; TJ];
    for e in range(0, width) {
        let q = q_tile[e * queries + lane];
        for j in unroll(0..TJ) {
            s[j] = W::multiply_add(k[j * width + e].cast::<W>(), q, s[j]);
        }
    }
    for j in unroll(0..TJ) {
        let score = if W::LEN == 1 { s[j] } else { s[j] * scale };
        s_tile[(j0 + j) * queries + lane] = score;
    }
}

/// Adds the values of keys, `words` of them, by their weights to the outputs, after multiplying those by
/// `factor`.
#[device]
fn outputs<K: Num, W: Words>(
    p_tile: Shared<W>,
    o_tile: Shared<f32>,
    #[comptime] queries: usize,
    factor: f32,
    words: usize,
    #[comptime] d: usize,
    v: &[K],
) {
    let lane = thread_idx_x();
    for e0 in range(0, d).step_by(8) {
        let mut acc: [f32; 8] = array(|e| o_tile[(e0 + e) * queries + lane] * factor);
        for j in 0..words {
            let (p, v) = (p_tile[j * queries + lane], &v[j * d + e0..j * d + e0 + 8]);
            for e in unroll(0..8) {
                acc[e] = W::multiply_add(v[e].cast::<W>(), p, acc[e]);
            }
        }
        for e in unroll(0..8) {
            o_tile[(e0 + e) * queries + lane] = acc[e];
        }
    }
}
