use kernelsmith::prelude::*;

use super::form::{Form, Score, end_seen, first_seen};
use super::online::OnlineSoftmax;
use crate::tile::stage;

/// Flash attention (Dao et al., 2022), one thread a query, f32 throughout.
///
/// `Q, O: m x D`, `K, V: n x D`, row-major, of each head; `group` heads, which are blocks along y, have
/// one head of keys. A block of `BM` threads takes `BM` queries through the keys in tiles of `BN`, which it stages in shared memory. The columns of the transposed query,
/// score and output tiles belong to one thread each: threads of a warp touch consecutive addresses,
/// and no score crosses threads. `TJ` keys (of `BN`) and `TE` output columns (of `D`) are in
/// registers at a time.
///
/// Tiles that no query of the block sees are skipped. `lse: m` of each head, where wanted, are the
/// logarithms of the sums of exponentials.
///
/// Of K and V no slices are taken: the checks that are left in loading them keep ptxas from loading both
/// tiles at once, for which there are not enough registers (52 bytes of spills on sm_75).
#[kernel(
    block = BM,
    requires = (q.len() >= m * D, out.len() >= m * D, group >= 1),
)]
pub fn attention_tiled<
    T: Float,
    const D: usize,
    const BM: usize,
    const BN: usize,
    const TJ: usize,
    const TE: usize,
>(
    m: usize,
    n: usize,
    group: usize,
    window: usize,
    scale: f32,
    cap: f32,
    #[comptime] form: Form,
    score: impl Fn(f32, usize, usize, usize) -> f32 + Copy,
    q: &[T],
    k: &[T],
    v: &[T],
    lse: Option<&mut [f32]>,
    out: &mut [f32],
) {
    let tx = thread_idx_x();
    let row0 = block_idx_x() * BM;
    let row = row0 + tx;
    let head = block_idx_y();
    let kv_head = head / group;
    let q = &q[head * m * D..(head + 1) * m * D];
    let q_tile = shared::<f32>(D * BM); // [column][query]
    let o_tile = shared::<f32>(D * BM); // [column][query]
    let s_tile = shared::<f32>(BN * BM); // [key][query]
    let k_tile = shared::<f32>(BN * D);
    let v_tile = shared::<f32>(BN * D);

    for e in range(0, D) {
        q_tile[e * BM + tx] = if row < m { q[row * D + e].to_f32() } else { 0.0 };
        o_tile[e * BM + tx] = 0.0;
    }
    // Keys that this thread's query sees, from the first of the block's first query to the block's last.
    let (from, end) = (first_seen(form, row, m, n, window), end_seen(form, row, m, n));
    let begin = first_seen(form, row0, m, n, window);
    let last = end_seen(form, (row0 + BM - 1).min(m - 1), m, n);

    let mut softmax = OnlineSoftmax::new();
    for j0 in (begin..last).step_by(BN) {
        stage(k_tile, BN, D, k, (kv_head * n + j0, 0), (kv_head * n + n, D));
        stage(v_tile, BN, D, v, (kv_head * n + j0, 0), (kv_head * n + n, D));
        barrier();

        let mut max = f32::NEG_INFINITY;
        for jt in range(0, BN).step_by(TJ) {
            let mut s = [0.0; TJ];
            for e in range(0, D) {
                let q = q_tile[e * BM + tx];
                for j in unroll(0..TJ) {
                    s[j] = k_tile[(jt + j) * D + e].mul_add(q, s[j]);
                }
            }
            for j in unroll(0..TJ) {
                let key = j0 + jt + j;
                let at = Score { head, query: row, key };
                let score = if key < end && (!form.windowed || key >= from) {
                    at.finish(form, s[j] * scale, cap, score)
                } else {
                    f32::NEG_INFINITY
                };
                s_tile[(jt + j) * BM + tx] = score;
                max = max.max(score);
            }
        }

        let factor = softmax.rescale(max);
        for j in range(0, BN) {
            s_tile[j * BM + tx] = softmax.weight(s_tile[j * BM + tx]);
        }

        for e0 in range(0, D).step_by(TE) {
            let mut acc: [f32; TE] = array(|e| o_tile[(e0 + e) * BM + tx] * factor);
            for j in range(0, BN) {
                let p = s_tile[j * BM + tx];
                for e in unroll(0..TE) {
                    acc[e] = v_tile[j * D + e0 + e].mul_add(p, acc[e]);
                }
            }
            for e in unroll(0..TE) {
                o_tile[(e0 + e) * BM + tx] = acc[e];
            }
        }
        barrier();
    }

    let out = &mut out[head * m * D..(head + 1) * m * D];
    if row < m {
        let scale = softmax.scale();
        for e in range(0, D) {
            out[row * D + e] = o_tile[e * BM + tx] * scale;
        }
        if let Some(lse) = lse {
            lse[head * m + row] = softmax.log_sum();
        }
    }
}
