//! The cooperative matmul: one warpgroup copies, two multiply halves of a tile each.

use kernelsmith::prelude::*;

use super::schedule::tile_at;

/// Columns of A and B that one stage holds: 128 bytes.
const BK: usize = 64;

/// Rows of a tile of C: 64 for each of the two warpgroups that multiply.
const BM: usize = 128;

/// Columns of C that leave through shared memory at once.
const PANEL: usize = 64;

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

/// `C = map(A * B)`, `C: m x n`, sums in f32. How A and B are stored, `a_order` and `b_order` say.
///
/// Persistent: as many blocks as the device has multiprocessors take tiles of `128 x BN` in turn. A
/// producer warp fills a ring of `STAGES` stages, each 64 columns of A and B; two warpgroups wait for
/// a stage, begin its products, and release the stage before once its own are done. The sums leave
/// through shared memory and the copy engine, while the producer already loads the next tile.
#[kernel(block = 384)]
pub fn matmul_cooperative<T: Float, const BN: usize, const STAGES: usize>(
    #[comptime] a_order: Order,
    #[comptime] b_order: Order,
    map: impl Fn(f32) -> f32,
    a: &TensorMap<T, 2>,
    b: &TensorMap<T, 2>,
    c: &mut TensorMap<T, 2>,
) where
    Wgmma<T, BN>: WgmmaAtom<Input = T, Sum = f32>,
{
    let a_along = a_order.is_along_k();
    let b_along = b_order.is_along_k();
    let a_box = a.tile(if a_along { [BM, BK] } else { [BK, PANEL] }, Swizzle::B128);
    let b_box = b.tile(if b_along { [BN, BK] } else { [BK, PANEL] }, Swizzle::B128);
    let c_box = c.tile([PANEL, PANEL], Swizzle::B128);
    let a_shape = if a_along { [BM, BK] } else { [BK, BM] };
    let b_shape = if b_along { [BN, BK] } else { [BK, BN] };
    let a_tiles = tiles::<T>(STAGES, a_shape, Swizzle::B128);
    let b_tiles = tiles::<T>(STAGES, b_shape, Swizzle::B128);
    let c_tiles = tiles::<T>(2, [64, PANEL], Swizzle::B128);
    let pipe = pipeline::<STAGES>(2);
    let mut at = pipe.start();

    let steps = if a_along { a.shape(1) } else { a.shape(0) }.div_ceil(BK);
    let down = c.shape(0).div_ceil(BM);
    let across = c.shape(1).div_ceil(BN);
    if warpgroup_id() == 0 {
        lower_registers(40);
        if warp_id() == 0 {
            if elect() {
                for tile in (block_idx_x()..down * across).step_by(grid_dim_x()) {
                    let (row, column) = tile_at(tile, down, across);
                    let (row, column) = (row * BM, column * BN);
                    for step in 0..steps {
                        let slot = pipe.fill(&mut at, a_tiles.bytes() + b_tiles.bytes());
                        let (stage, k) = (slot.index(), step * BK);
                        let a_at = if a_along { [row, k] } else { [k, row] };
                        let b_at = if b_along { [column, k] } else { [k, column] };
                        a_tiles.stage(stage).load(a_box, a_at, slot.barrier());
                        b_tiles.stage(stage).load(b_box, b_at, slot.barrier());
                    }
                }
            }
        }
    } else {
        raise_registers(232);
        let half = warpgroup_id() - 1;
        let leads = thread_idx_x() % 128 == 0;
        let out = c_tiles.stage(half);
        for tile in (block_idx_x()..down * across).step_by(grid_dim_x()) {
            let (row, column) = tile_at(tile, down, across);
            let (row, column) = (row * BM + half * 64, column * BN);
            let mut sums = InFlight::<Wgmma<T, BN>>::zero();
            let mut before = at;
            for step in 0..steps {
                let stage = pipe.wait(at);
                let (a, b) = (a_tiles.stage(stage), b_tiles.stage(stage));
                wgmma_fence();
                for k in unroll(0..BK / 16) {
                    let a = if a_along {
                        a.k_major(half * 64, 16 * k)
                    } else {
                        a.mn_major(half * 64, 16 * k)
                    };
                    let b = if b_along { b.k_major(0, 16 * k) } else { b.mn_major(0, 16 * k) };
                    sums = wgmma(a, b, sums, true);
                }
                wgmma_commit();
                wgmma_wait(1);
                if leads && step > 0 {
                    pipe.release(before);
                }
                before = at;
                at.advance();
            }
            let sums = sums.wait();
            if leads && steps > 0 {
                pipe.release(before);
            }
            for panel in unroll(0..BN / PANEL) {
                if leads {
                    bulk_wait_read(0);
                }
                barrier_sync(1, 256);
                out.store_sums(sums, 0, PANEL * panel, |x| map(x).cast::<T>());
                async_fence();
                barrier_sync(1, 256);
                if leads {
                    out.store(c_box, [row, column + PANEL * panel]);
                    bulk_commit();
                }
            }
        }
        if leads {
            bulk_wait(0);
        }
    }
}
