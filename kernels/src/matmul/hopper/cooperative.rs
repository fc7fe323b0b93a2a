//! The cooperative matmul: one warpgroup copies, two multiply halves of a tile each.

use kernelsmith::prelude::*;

/// Columns of A and B that one stage holds: 128 bytes.
const BK: usize = 64;

/// Rows of a tile of C: 64 for each of the two warpgroups that multiply.
const BM: usize = 128;

/// Columns of C that leave through shared memory at once.
const PANEL: usize = 64;

/// `C = A * B'` for row-major `A: m x k`, `B: n x k`, `C: m x n`, sums in f32.
///
/// Persistent: as many blocks as the device has multiprocessors take tiles of `128 x BN` in turn. A
/// producer warp fills a ring of `STAGES` stages, each 64 columns of A and B; two warpgroups wait for
/// a stage, begin its products, and release the stage before once its own are done. The sums leave
/// through shared memory and the copy engine, while the producer already loads the next tile.
#[kernel(block = 384)]
pub fn matmul_cooperative<const BN: usize, const STAGES: usize>(
    a: &TensorMap<bf16, 2>,
    b: &TensorMap<bf16, 2>,
    c: &mut TensorMap<bf16, 2>,
) {
    let a_box = a.tile([BM, BK], Swizzle::B128);
    let b_box = b.tile([BN, BK], Swizzle::B128);
    let c_box = c.tile([PANEL, PANEL], Swizzle::B128);
    let a_tiles = tiles::<bf16>(STAGES, [BM, BK], Swizzle::B128);
    let b_tiles = tiles::<bf16>(STAGES, [BN, BK], Swizzle::B128);
    let c_tiles = tiles::<bf16>(2, [64, PANEL], Swizzle::B128);
    let pipe = pipeline::<STAGES>(2);
    let mut at = pipe.start();

    let steps = a.shape(1).div_ceil(BK);
    let down = c.shape(0).div_ceil(BM);
    let all = down * c.shape(1).div_ceil(BN);
    if warpgroup_id() == 0 {
        lower_registers(40);
        if warp_id() == 0 {
            if elect() {
                for tile in (block_idx_x()..all).step_by(grid_dim_x()) {
                    let row = tile % down * BM;
                    let column = tile / down * BN;
                    for step in 0..steps {
                        let slot = pipe.fill(&mut at, a_tiles.bytes() + b_tiles.bytes());
                        let (stage, k) = (slot.index(), step * BK);
                        a_tiles.stage(stage).load(a_box, [row, k], slot.barrier());
                        b_tiles.stage(stage).load(b_box, [column, k], slot.barrier());
                    }
                }
            }
        }
    } else {
        raise_registers(232);
        let half = warpgroup_id() - 1;
        let leads = thread_idx_x() % 128 == 0;
        let out = c_tiles.stage(half);
        for tile in (block_idx_x()..all).step_by(grid_dim_x()) {
            let row = tile % down * BM + half * 64;
            let column = tile / down * BN;
            let mut sums = InFlight::<Wgmma<bf16, BN>>::zero();
            let mut before = at;
            for step in 0..steps {
                let stage = pipe.wait(at);
                let (a, b) = (a_tiles.stage(stage), b_tiles.stage(stage));
                wgmma_fence();
                for k in unroll(0..BK / 16) {
                    sums = wgmma(a.k_major(half * 64, 16 * k), b.k_major(0, 16 * k), sums, true);
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
                out.store_sums(sums, 0, PANEL * panel, |x| x.cast::<bf16>());
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
