//! The kernel: a block owns keys, and takes all queries that see them past those.

use kernelsmith::prelude::*;

use super::plan::Tiling;
use super::products::{ROWS, add_product, add_weighted, dots};
use super::seen::Seen;
use super::tiles::Tiles;
use super::weights::{Origin, Weights};
use crate::attention::form::Form;

/// The gradients of attention (Dao, "FlashAttention-2", 2023, algorithm 2), with `P = exp(S - lse)`:
/// `dV = P' dO`, `dS = P (dO V' - delta)`, `dK = dS' Q scale` and `dQ = dS K scale`.
///
/// `Q: m x d`, `K, dK: n x d` and, of the values' columns, `dO: m x d` and `V, dV: n x d`, row-major, of each head, and `lse, delta: m`; `group` heads have
/// one head of keys. Block `(x, y)` owns keys `y * strips * W ..` of head `x` of keys, `strips * W` of them,
/// and writes their dK and dV, summed over the group's heads. Of dQ it adds up what these keys give in a
/// part of its own: `dq: splits x heads x m x d`, with `splits` blocks along y. So no sum is shared, and
/// the results are the same bits every time.
///
/// A thread has a key of a strip of `W` for all but dQ, of which it has a column: each of the five products
/// takes a vector and numbers that all threads share, from memory as they lie. K and V lie transposed in
/// the block's memory, as do the sums of dK and dV.
///
/// Rows of a strip that see none of its keys are skipped in groups of 12.
#[kernel(
    block = W,
    requires = (group >= 1, strips >= 1),
)]
pub fn attention_backward<T: Float, const W: usize>(
    m: usize,
    n: usize,
    group: usize,
    window: usize,
    scale: f32,
    cap: f32,
    strips: usize,
    #[comptime] tiling: Tiling,
    #[comptime] form: Form,
    score: impl Fn(f32, usize, usize, usize) -> f32 + Copy,
    q: &[f32],
    k: &[f32],
    v: &[f32],
    d_out: &[f32],
    lse: &[f32],
    delta: &[f32],
    dq: &mut [f32],
    dk: &mut [T],
    dv: &mut [T],
) {
    let (d, values) = (tiling.dimension, tiling.values);
    let (kv_head, split) = (block_idx_x(), block_idx_y());
    let tiles = Tiles::<W>::new(tiling);
    let seen = Seen { form, m, n, window };
    let weights = Weights { seen, scale, cap, score };

    let part = (split * grid_dim_x() + kv_head) * group * m * d;
    let dq = &mut dq[part..part + group * m * d];
    for at in (thread_idx_x()..group * m * d).step_by(W) {
        dq[at] = 0.0;
    }
    let start = split * strips * W;
    let stop = (start + strips * W).min(n);
    for j0 in (start..stop).step_by(tiling.keys) {
        let count = (stop - j0).min(tiling.keys);
        let (from, to) = ((kv_head * n + j0) * d, (kv_head * n + j0 + count) * d);
        let first = kv_head * n + j0;
        let (v_from, v_to) = (first * values, (first + count) * values);
        let (k, v) = (&k[from..to], &v[v_from..v_to]);
        tiles.load(k, v, count);
        for h in 0..group {
            let head = kv_head * group + h;
            let (lse, delta) = (&lse[head * m..(head + 1) * m], &delta[head * m..(head + 1) * m]);
            for i0 in (seen.first_query(j0)..seen.end_query(j0 + count - 1)).step_by(tiling.queries)
            {
                let rows = (seen.end_query(j0 + count - 1) - i0).min(tiling.queries);
                let first = head * m + i0;
                let q = &q[first * d..(first + rows) * d];
                let d_out = &d_out[first * values..(first + rows) * values];
                for c in 0..(count + (W - 1)) / W {
                    let at = Origin { head, query: i0, key: j0 + c * W };
                    of_strip(tiles, weights, tiling, at, c, j0 + count, rows, q, d_out, lse, delta);
                }
                barrier();
                let ends = |i: usize, end: usize| {
                    let first = seen.first_key(i0 + i).max(j0) - j0;
                    (first, seen.end_key(i0 + end - 1).saturating_sub(j0).min(count))
                };
                let dq = &mut dq[(h * m + i0) * d..(h * m + i0 + rows) * d];
                add_product::<W>(d, tiles.ds(), rows, ends, k, scale, dq);
                barrier();
            }
        }
        barrier();
        tiles.store(scale, &mut dk[from..to], &mut dv[v_from..v_to], count);
        barrier();
    }
}

/// What a strip of keys from `at.key` to `end` at most, number `c` of its tile, gives with `rows` queries:
/// all but dQ, for which its part of dS is there in the end.
#[device]
fn of_strip<const W: usize, F: Fn(f32, usize, usize, usize) -> f32 + Copy>(
    tiles: Tiles<W>,
    weights: Weights<F>,
    #[comptime] tiling: Tiling,
    at: Origin,
    c: usize,
    end: usize,
    rows: usize,
    q: &[f32],
    d_out: &[f32],
    lse: &[f32],
    delta: &[f32],
) {
    let (seen, d, values) = (weights.seen, tiling.dimension, tiling.values);
    let (query, key) = (at.query, at.key);
    let end = (key + W).min(end);
    // Whole groups of rows, since dQ reads dS by such.
    let from = seen.first_query(key).saturating_sub(query) / ROWS * ROWS;
    let to = (seen.end_query(end - 1).saturating_sub(query) + (ROWS - 1)) / ROWS * ROWS;
    let to = to.min(rows);
    if from < to {
        let (p, ds) = (tiles.p(), tiles.ds_of(c));
        dots(d, q, from, to, tiles.k(c), p);
        dots(values, d_out, from, to, tiles.v(c), ds);
        let whole = key + W <= seen.end_key(query + from) && seen.first_key(query + to - 1) <= key;
        let at = Origin { head: at.head, query, key: key + thread_idx_x() };
        if whole {
            weights.weigh(false, at, from, to, lse, delta, p, ds);
        } else {
            weights.weigh(true, at, from, to, lse, delta, p, ds);
        }
        add_weighted(values, d_out, from, to, p, tiles.dv(c));
        add_weighted(d, q, from, to, ds, tiles.dk(c));
    }
}
