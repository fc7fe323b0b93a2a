//! The cooperative matmul: one warpgroup copies, two multiply halves of a tile each.

use kernelsmith::prelude::*;

use super::schedule::tile_at;
use crate::matmul::Steps;
use crate::matmul::epilogue::Epilogue;

/// Columns of A and B that one stage holds: 128 bytes.
const BK: usize = 64;

/// Rows of a tile of C: 64 for each of the two warpgroups that multiply.
pub(super) const BM: usize = 128;

/// Columns of a box of a factor whose rows are those along k: 128 bytes.
const WIDE: usize = 64;

/// Which axis of a factor's memory is contiguous.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Order {
    /// Along k: A is stored as `m x k`, B as `n x k`.
    AlongK,
    /// Along m or n: A is stored as `k x m`, B as `k x n`.
    AcrossK,
}

impl Order {
    /// Whether k is the contiguous axis.
    pub fn is_along_k(self) -> bool {
        self == Order::AlongK
    }
}

/// `C = map(alpha * A * B + bias) + residual` of each matrix of a batch, `C: m x n`, sums in f32. How A
/// and B are stored, `a_order` and `b_order` say.
///
/// Persistent: as many blocks as the device has multiprocessors take tiles of `128 x BN` in turn. A
/// producer warp fills a ring of `STAGES` stages, each 64 columns of A and B; two warpgroups wait for
/// a stage, begin its products, and release the stage before once its own are done. The sums leave
/// through shared memory and the copy engine, while the producer already loads the next tile.
#[kernel(block = 384)]
pub fn matmul_cooperative<T: Float, O: Num, const BN: usize, const STAGES: usize>(
    alpha: f32,
    #[comptime] a_order: Order,
    #[comptime] b_order: Order,
    #[comptime] steps: Steps,
    map: impl Fn(f32) -> f32 + Copy,
    a: &TensorMap<T, 3>,
    b: &TensorMap<T, 3>,
    bias: Option<&View<f32, 3>>,
    residual: Option<&View<O, 3>>,
    c: &mut TensorMap<O, 3>,
) where
    Wgmma<T, BN>: WgmmaAtom<Input = T, Sum = f32>,
{
    let a_along = a_order.is_along_k();
    let b_along = b_order.is_along_k();
    // Columns of C that leave through shared memory at once: 128 bytes.
    let panel = 128 / size_of::<O>();
    let a_box = a.tile(if a_along { [1, BM, BK] } else { [1, BK, WIDE] }, Swizzle::B128);
    let b_box = b.tile(if b_along { [1, BN, BK] } else { [1, BK, WIDE] }, Swizzle::B128);
    let c_box = c.tile([1, 64, panel], Swizzle::B128);
    let a_tiles = tiles::<T>(STAGES, if a_along { [BM, BK] } else { [BK, BM] }, Swizzle::B128);
    let b_tiles = tiles::<T>(STAGES, if b_along { [BN, BK] } else { [BK, BN] }, Swizzle::B128);
    let c_tiles = tiles::<O>(2, [64, panel], Swizzle::B128);
    let (producer, consumer) = pipeline::<STAGES>(2).split();

    let depth = if a_along { a.shape(2) } else { a.shape(1) }.div_ceil(BK);
    let (m, n) = (c.shape(1), c.shape(2));
    let (down, across) = (m.div_ceil(BM), n.div_ceil(BN));
    let all = c.shape(0) * down * across;
    if warpgroup_id() == 0 {
        lower_registers(40);
        if warp_id() == 0 {
            if elect() {
                for tile in (block_idx_x()..all).step_by(grid_dim_x()) {
                    let (batch, row, column) = tile_at(tile, down, across);
                    let (row, column) = (row * BM, column * BN);
                    for step in 0..depth {
                        let stage = producer.acquire();
                        let k = step * BK;
                        let a_at = if a_along { [batch, row, k] } else { [batch, k, row] };
                        let b_at = if b_along { [batch, column, k] } else { [batch, k, column] };
                        stage.load(a_tiles.stage(stage.index()), a_box, a_at);
                        stage.load(b_tiles.stage(stage.index()), b_box, b_at);
                        stage.commit();
                    }
                }
            }
        }
    } else {
        raise_registers(232);
        let half = warpgroup_id() - 1;
        let leads = thread_idx_x() % 128 == 0;
        let consumer = consumer.led_by(leads);
        let out = c_tiles.stage(half);
        for tile in (block_idx_x()..all).step_by(grid_dim_x()) {
            let (batch, row, column) = tile_at(tile, down, across);
            let (row, column) = (row * BM + half * 64, column * BN);
            let mut sums = InFlight::<Wgmma<T, BN>>::zero();
            let before = consumer.hold();
            for _ in 0..depth {
                let stage = consumer.wait();
                let (a, b) = (a_tiles.stage(stage.index()), b_tiles.stage(stage.index()));
                let rows = half * 64;
                wgmma_fence();
                for k in unroll(0..BK / 16) {
                    let k = 16 * k;
                    let a = if a_along { a.k_major(rows, k) } else { a.mn_major(rows, k) };
                    let b = if b_along { b.k_major(0, k) } else { b.mn_major(0, k) };
                    sums = wgmma(a, b, sums, true);
                }
                wgmma_commit();
                wgmma_wait(1);
                before.replace(stage);
            }
            let sums = sums.wait();
            before.release();
            let beta = Val::<f32>::zero();
            let epilogue = Epilogue::of_batch(batch, steps, (alpha, beta), bias, residual, map);
            for first in unroll(0..BN / panel) {
                let first = first * panel;
                if leads {
                    bulk_wait_read(0);
                }
                barrier_sync(1, 256);
                out.store_sums(sums, 0, first, |i, j, sum| {
                    finished(epilogue, sum, row + i, column + j, m, n)
                });
                async_fence();
                barrier_sync(1, 256);
                if leads {
                    out.store(c_box, [batch, row, column + first]);
                    bulk_commit();
                }
            }
        }
        if leads {
            bulk_wait(0);
        }
    }
}

/// An element of C. What lies outside of it is not stored, and has no bias.
#[device]
fn finished<O: Num, F: Fn(f32) -> f32 + Copy>(
    epilogue: Epilogue<f32, O, F>,
    sum: f32,
    row: usize,
    column: usize,
    m: usize,
    n: usize,
) -> O {
    let x = epilogue.alpha * sum;
    if epilogue.is_linear() {
        return x.cast::<O>();
    }
    let x = if row < m && column < n { epilogue.end(x, row, column) } else { x };
    x.cast::<O>()
}
