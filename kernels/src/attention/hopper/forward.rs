//! Flash attention forward (Shah et al., "FlashAttention-3", 2024): one warpgroup copies, two take 64
//! queries each through the keys.

use kernelsmith::prelude::*;

use super::rows::{Scores, TwoRows, only_first, own_row, scaled};

/// Queries of a block: 64 for each of the two warpgroups that multiply.
const BM: usize = 128;

/// Elements of a row of a tile in shared memory: 128 bytes.
const PANEL: usize = 64;

/// `O = softmax(scale * Q * K') * V` of each head, `Q, O: heads x m x D`, `K, V: kv_heads x n x D`;
/// `group` heads of queries have one head of keys. `scale_log2` is the scale times `log2(e)`. If
/// `causal`, query `i` sees keys up to `i + n - m`.
///
/// A block takes 128 queries, those with the most keys first, through tiles of `BN` keys, the last
/// ones first. While the exponentials of one tile are computed, the tensor cores multiply the
/// weights of the tile before with its values (overlap within a warpgroup, section 3.2 of the
/// paper). Only tiles that the diagonal or the end of the keys crosses are masked.
#[kernel(block = 384)]
pub fn attention_forward<T: Float, const D: usize, const BN: usize, const STAGES: usize>(
    scale_log2: f32,
    group: usize,
    #[comptime] causal: bool,
    q: &TensorMap<T, 3>,
    k: &TensorMap<T, 3>,
    v: &TensorMap<T, 3>,
    o: &mut TensorMap<T, 3>,
) where
    Wgmma<T, BN>: WgmmaAtom<Input = T, Sum = f32>,
    Wgmma<T, D>: WgmmaAtom<Input = T, Sum = f32>,
{
    let q_box = q.tile([1, 64, PANEL], Swizzle::B128);
    let k_box = k.tile([1, BN, PANEL], Swizzle::B128);
    let v_box = v.tile([1, BN, PANEL], Swizzle::B128);
    let o_box = o.tile([1, 64, PANEL], Swizzle::B128);
    let q_tiles = tiles::<T>(2, [64, D], Swizzle::B128);
    let k_tiles = tiles::<T>(STAGES, [BN, D], Swizzle::B128);
    let v_tiles = tiles::<T>(STAGES, [BN, D], Swizzle::B128);
    let (q_filled, q_used) = pipeline::<1>(1).split();
    let (k_filled, k_used) = pipeline::<STAGES>(2).split();
    let (v_filled, v_used) = pipeline::<STAGES>(2).split();

    let (m, n) = (q.shape(1), k.shape(1));
    let head = block_idx_y();
    // Later queries see more keys: their blocks begin first.
    let row0 = (grid_dim_x() - 1 - block_idx_x()) * BM;
    let end = if causal { (row0 + BM + n).saturating_sub(m).min(n) } else { n };
    let blocks = end.div_ceil(BN);
    if warpgroup_id() == 0 {
        lower_registers(24);
        if warp_id() == 0 {
            if elect() {
                let kv_head = head / group;
                let stage = q_filled.acquire();
                for half in unroll(0..2) {
                    stage.load(q_tiles.stage(half), q_box, [head, row0 + 64 * half, 0]);
                }
                stage.commit();
                for block in (0..blocks).rev() {
                    let stage = k_filled.acquire();
                    let at = [kv_head, block * BN, 0];
                    stage.load(k_tiles.stage(stage.index()), k_box, at);
                    stage.commit();
                    let stage = v_filled.acquire();
                    let at = [kv_head, block * BN, 0];
                    stage.load(v_tiles.stage(stage.index()), v_box, at);
                    stage.commit();
                }
            }
        }
    } else {
        raise_registers(240);
        let half = warpgroup_id() - 1;
        let leads = thread_idx_x() % 128 == 0;
        let (k_used, v_used) = (k_used.led_by(leads), v_used.led_by(leads));
        let first_row = row0 + 64 * half;
        let queries = q_tiles.stage(half);
        // Blocks of keys that all of these queries see.
        let seen = if causal { (first_row + 1 + n).saturating_sub(m).min(n) } else { n };
        let seen_by_all = seen / BN;

        let mut rows = TwoRows::new();
        let mut sums = Fragment::<Wgmma<T, D>, Accumulator>::zero();
        q_used.wait().keep();
        if blocks > 0 {
            let mut out = InFlight::<Wgmma<T, D>>::zero();
            let keys = k_used.wait();
            wgmma_fence();
            let tile = k_tiles.stage(keys.index());
            let scores = begin_scores::<T, D, BN>(queries, tile).wait();
            keys.release();
            let scores = masked(causal, scores, first_row, (blocks - 1) * BN, m, n);
            let (first, _) = rows.weigh(scores, scale_log2);
            let mut weights = SumsAsFactor::<Wgmma<T, D>, Wgmma<T, BN>>::new(first, narrow);

            let split = seen_by_all.min(blocks - 1);
            for pass in unroll(0..2usize) {
                let from: usize = if pass == 0 { split } else { 0 };
                let to: usize = if pass == 0 { blocks - 1 } else { split };
                for block in (from..to).rev() {
                    let keys = k_used.wait();
                    wgmma_fence();
                    let tile = k_tiles.stage(keys.index());
                    let scores = begin_scores::<T, D, BN>(queries, tile);
                    let values = v_used.wait();
                    out = begin_outputs::<T, D, BN>(weights, v_tiles.stage(values.index()), out);
                    let scores = scores.wait_pending(1);
                    keys.release();
                    let scores = if pass == 0 {
                        masked(causal, scores, first_row, block * BN, m, n)
                    } else {
                        scores
                    };
                    let (next, factors) = rows.weigh(scores, scale_log2);
                    let so_far = out.wait();
                    values.release();
                    out = scaled(so_far, factors).into();
                    weights = SumsAsFactor::new(next, narrow);
                }
            }
            let values = v_used.wait();
            wgmma_fence();
            let tile = v_tiles.stage(values.index());
            sums = begin_outputs::<T, D, BN>(weights, tile, out).wait();
            values.keep();
        }
        // The queries are no longer read: outputs leave through their place.
        queries.store_sums(scaled(sums, rows.scales()), 0, 0, |_, _, x| narrow(x));
        async_fence();
        if half == 0 {
            barrier_sync(1, 128);
        } else {
            barrier_sync(2, 128);
        }
        if leads {
            queries.store(o_box, [head, first_row, 0]);
            bulk_commit();
            bulk_wait(0);
        }
    }
}

/// Begins `queries * keys'`, after a fence.
#[device]
fn begin_scores<T: Float, const D: usize, const BN: usize>(
    queries: Tile<T>,
    keys: Tile<T>,
) -> InFlight<Wgmma<T, BN>>
where
    Wgmma<T, BN>: WgmmaAtom<Input = T, Sum = f32>,
{
    let mut scores = InFlight::<Wgmma<T, BN>>::zero();
    for e in unroll(0..D / 16) {
        scores = wgmma(queries.k_major(0, 16 * e), keys.k_major(0, 16 * e), scores, e > 0);
    }
    wgmma_commit();
    scores
}

/// Begins `out + weights * values`, after a fence.
#[device]
fn begin_outputs<T: Float, const D: usize, const BN: usize>(
    weights: SumsAsFactor<Wgmma<T, D>, Wgmma<T, BN>>,
    values: Tile<T>,
    out: InFlight<Wgmma<T, D>>,
) -> InFlight<Wgmma<T, D>>
where
    Wgmma<T, BN>: WgmmaAtom<Input = T, Sum = f32>,
    Wgmma<T, D>: WgmmaAtom<Input = T, Sum = f32>,
{
    let mut out = out;
    for key in unroll(0..BN / 16) {
        out = wgmma(weights.columns(16 * key), values.mn_major(0, 16 * key), out, true);
    }
    wgmma_commit();
    out
}

/// The type that factors have.
#[device]
fn narrow<T: Float>(x: f32) -> T {
    x.cast::<T>()
}

/// Scores of queries from `row` on with keys from `key` on, `-inf` where the key is not seen.
#[device]
fn masked<T: Float, const N: usize>(
    #[comptime] causal: bool,
    scores: Scores<T, N>,
    row: usize,
    key: usize,
    m: usize,
    n: usize,
) -> Scores<T, N>
where
    Wgmma<T, N>: WgmmaAtom<Input = T, Sum = f32>,
{
    let seen: [u32; 2] = array(|half| {
        let query = row + own_row::<T, N>(half);
        let end = if causal { (query + 1 + n).saturating_sub(m).min(n) } else { n };
        end.saturating_sub(key).min(N) as u32
    });
    only_first(scores, seen)
}
