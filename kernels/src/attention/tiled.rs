use kernelsmith::prelude::*;

use super::config::Tile;
use super::form::{Form, Score, end_seen, first_seen};
use super::lengths::{Apart, span};
use super::online::OnlineSoftmax;

/// Flash attention (Dao et al., 2022), one thread a query, f32 throughout.
///
/// Tensors, sequences, sinks and sums are those of [`attention_rows`](super::attention_rows), but K and V
/// are views with contiguous rows. A block takes `tile.queries` queries, a thread each, through the keys, of
/// which it stages `tile.keys` at a time in shared memory. The columns of the transposed query,
/// score and output tiles belong to one thread each: threads of a warp touch consecutive addresses,
/// and no score crosses threads. Up to 8 keys and 8 output columns are in registers at a time.
///
/// Tiles that no query of the block sees are skipped.
#[kernel(
    block = tile.queries,
    requires = (
        q.shape(3) == d, k.shape(3) == d, k.stride(3) == 1, v.stride(3) == 1, group >= 1,
        k.shape(1) >= 1, apart.queries * q.shape(0) == apart.queries * batch,
        apart.queries * q.shape(2) == apart.queries * m, q.shape(0) >= 1, batch >= 1,
        apart.keys * k.shape(0) == apart.keys * batch,
        out.shape(0) == q.shape(0), out.shape(1) == q.shape(1), out.shape(2) == q.shape(2),
        out.shape(3) == dv, v.shape(0) == k.shape(0), v.shape(1) == k.shape(1),
        v.shape(2) == k.shape(2), v.shape(3) == dv,
    ),
)]
pub fn attention_tiled<T: Float, K: Float, O: Num>(
    batch: usize,
    m: usize,
    n: usize,
    group: usize,
    window: usize,
    scale: f32,
    cap: f32,
    #[comptime] d: usize,
    #[comptime] dv: usize,
    #[comptime] tile: Tile,
    #[comptime] apart: Apart,
    #[comptime] form: Form,
    score: impl Fn(f32, usize, usize, usize) -> f32 + Copy,
    q: &View<T, 4>,
    k: &View<K, 4>,
    v: &View<K, 4>,
    q_ends: Option<&[u32]>,
    k_ends: Option<&[u32]>,
    lengths: Option<&[u32]>,
    sinks: Option<&[f32]>,
    lse: Option<&mut View<f32, 3>>,
    out: &mut View<O, 4>,
) {
    let tx = thread_idx_x();
    let (row0, head, sequence) = (block_idx_x() * tile.queries, block_idx_y(), block_idx_z());
    if head >= q.shape(1) || sequence >= batch {
        return;
    }
    let own = span(q_ends, None, sequence, batch, m, q.shape(2));
    let keys = span(k_ends, lengths, sequence, batch, n, k.shape(2));
    let (m, n, heads) = (own.len, keys.len, q.shape(1));
    if row0 >= m {
        return;
    }
    let (row, kv_head) = (row0 + tx, head / group % k.shape(1));
    let k = k.outer(keys.outer).outer(kv_head);
    let v = v.outer(keys.outer).outer(kv_head);
    let q_tile = shared::<f32>(d * tile.queries); // [column][query]
    let o_tile = shared::<f32>(dv * tile.queries); // [column][query]
    let s_tile = shared::<f32>(tile.keys * tile.queries); // [key][query]
    let k_tile = shared::<f32>(tile.keys * d);
    let v_tile = shared::<f32>(tile.keys * dv);

    let q = q.outer(own.outer).outer(head);
    for e in range(0, d) {
        q_tile[e * tile.queries + tx] =
            if row < m { q[[own.first + row, e]].to_f32() } else { 0.0 };
    }
    for e in range(0, dv) {
        o_tile[e * tile.queries + tx] = 0.0;
    }
    // Keys that this thread's query sees, from the first of the block's first query to the block's last.
    let (from, end) = (first_seen(form, row, m, n, window), end_seen(form, row, m, n));
    let begin = first_seen(form, row0, m, n, window);
    let last = end_seen(form, (row0 + tile.queries - 1).min(m - 1), m, n);

    let together = tile.keys.min(8);
    let mut softmax = OnlineSoftmax::new();
    for j0 in (begin..last).step_by(tile.keys) {
        stage_rows(k_tile, tile.keys, d, k, keys.first + j0, keys.first + n);
        stage_rows(v_tile, tile.keys, dv, v, keys.first + j0, keys.first + n);
        barrier();

        let mut max = f32::NEG_INFINITY;
        for jt in range(0, tile.keys).step_by(together) {
            let mut s = [0.0; 8];
            for e in range(0, d) {
                let q = q_tile[e * tile.queries + tx];
                for j in unroll(0..together) {
                    s[j] = k_tile[(jt + j) * d + e].mul_add(q, s[j]);
                }
            }
            for j in unroll(0..together) {
                let key = j0 + jt + j;
                let at = Score { head: sequence * heads + head, query: row, key };
                let score = if key < end && (!form.windowed || key >= from) {
                    at.finish(form, s[j] * scale, cap, score)
                } else {
                    f32::NEG_INFINITY
                };
                s_tile[(jt + j) * tile.queries + tx] = score;
                max = max.max(score);
            }
        }

        let factor = softmax.rescale(max);
        for j in range(0, tile.keys) {
            s_tile[j * tile.queries + tx] = softmax.weight(s_tile[j * tile.queries + tx]);
        }

        for e0 in range(0, dv).step_by(8) {
            let mut acc: [f32; 8] = array(|e| o_tile[(e0 + e) * tile.queries + tx] * factor);
            for j in range(0, tile.keys) {
                let p = s_tile[j * tile.queries + tx];
                for e in unroll(0..8) {
                    acc[e] = v_tile[j * dv + e0 + e].mul_add(p, acc[e]);
                }
            }
            for e in unroll(0..8) {
                o_tile[(e0 + e) * tile.queries + tx] = acc[e];
            }
        }
        barrier();
    }

    if row < m {
        let mut factor = 1.0;
        if let Some(sinks) = sinks {
            factor = softmax.join(sinks[head]);
        }
        let scale = factor * softmax.scale();
        let out = out.outer(own.outer).outer(head).outer(own.first + row);
        for e in range(0, dv) {
            out[[e]] = (o_tile[e * tile.queries + tx] * scale).cast::<O>();
        }
        if let Some(lse) = lse {
            let lse = lse.outer(own.outer).outer(head);
            lse[[own.first + row]] = softmax.log_sum();
        }
    }
}

/// Copies `rows` rows, as f32, into shared memory, with zeros from `end` on. All threads of the block take
/// part, along columns; the caller puts a barrier between this and the tile's readers.
#[device]
fn stage_rows<T: Float>(
    tile: Shared<f32>,
    #[comptime] rows: usize,
    #[comptime] d: usize,
    src: &View<T, 2>,
    first: usize,
    end: usize,
) {
    let count = end.saturating_sub(first).min(rows);
    for r in 0..count {
        let row = src.outer(first + r);
        for c in (thread_idx_x()..d).step_by(block_dim_x()) {
            tile[r * d + c] = row[[c]].to_f32();
        }
    }
    for r in count..rows {
        for c in (thread_idx_x()..d).step_by(block_dim_x()) {
            tile[r * d + c] = 0.0;
        }
    }
}
