//! The ping-pong matmul: one warpgroup copies, two multiply whole tiles in turns.

use kernelsmith::prelude::*;

use super::cooperative::{BM, Form, finished};
use super::leave::leave;
use super::operand::{Operand, fill, of_cluster, step};
use super::schedule::Walk;
use crate::matmul::epilogue::Epilogue;
use crate::matmul::{Steps, Summed};

/// What [`matmul_cooperative`](super::matmul_cooperative) computes, neither exchanged nor in parts. Here a
/// warpgroup has a tile of `128 x N` for itself, and while it finishes one and stores it, the other
/// warpgroup multiplies the next: what is done to the sums costs the tensor cores nothing (CUTLASS,
/// `sm90_gemm_tma_warpspecialized_pingpong`). Twice the sums a thread, so tiles are half as large.
///
/// The producer fills stages for one tile after the other; each warpgroup skips those of the other's tiles.
/// Who multiplies has the turn, and gives it away behind its last product.
#[kernel(block = 384, cluster = form.cluster)]
pub fn matmul_pingpong<
    W: WgmmaAtom<Input = T, Sum = S>,
    T: Stored,
    S: Num,
    E: Num + Summed,
    O: Num,
    const STAGES: usize,
>(
    alpha: E,
    group: usize,
    #[comptime] form: Form,
    #[comptime] steps: Steps,
    map: impl Fn(E) -> E + Copy,
    a: &TensorMap<T, 3>,
    b: &TensorMap<T, 3>,
    bias: Option<&View<E, 3>>,
    residual: Option<&View<O, 3>>,
    row_scales: Option<&View<E, 3>>,
    column_scales: Option<&View<E, 3>>,
    c: &mut TensorMap<O, 3>,
) {
    let cluster = form.cluster;
    let a = Operand::new(a, form.a, (BM, STAGES, 1));
    let b = Operand::new(b, form.b, (W::N, STAGES, cluster));
    let panel = 128 / size_of::<O>();
    let c_box = c.tile([1, 64, panel], Swizzle::B128);
    let c_tiles = tiles::<O>(2, [64, panel], Swizzle::B128);
    // One warpgroup of each block uses a stage.
    let (producer, consumer) = pipeline::<STAGES>(form.owners()).split();

    let (m, n) = (c.shape(1), c.shape(2));
    let walk = Walk::new(c.shape(0), [m, n], W::N, cluster).by(group);
    let depth = a.depth().div_ceil(step::<T>());
    if warpgroup_id() == 0 {
        lower_registers(40);
        if warp_id() == 0 {
            if elect() {
                let mut next = walk.first;
                while next < walk.all {
                    let tile = next;
                    next += walk.apart;
                    let (batch, row, column) = walk.tile(tile);
                    for k in 0..depth {
                        let factors = [(a, [batch, row]), (b, [batch, column])];
                        fill(&producer, &factors, k, walk.rank);
                    }
                }
            }
        }
    } else {
        raise_registers(232);
        let own = warpgroup_id() - 1;
        let thread = thread_idx_x() % 128;
        let leads = thread == 0;
        let consumer = of_cluster(consumer.led_by(thread < cluster), thread, cluster);
        let out = c_tiles.stage(own);
        if own == 1 {
            // The first tile is the other's.
            consumer.pass(depth);
            if walk.first < walk.all {
                barrier_arrive(1, 256);
            }
        }
        let mut next = walk.first + own as u32 * walk.apart;
        while next < walk.all {
            let tile = next;
            next += 2 * walk.apart;
            let (batch, row, column) = walk.tile(tile);
            if own == 0 {
                barrier_sync(1, 256)
            } else {
                barrier_sync(2, 256)
            }
            let mut upper = InFlight::<W>::zero();
            let mut lower = InFlight::<W>::zero();
            let before = consumer.hold();
            for _ in 0..depth {
                let stage = consumer.wait();
                wgmma_fence();
                for j in unroll(0..4) {
                    let (k, zero) = (j * W::K, Val::<usize>::zero());
                    let columns = b.factor(stage.index(), zero, k);
                    upper = wgmma(a.factor(stage.index(), zero, k), columns, upper, true);
                    let columns = b.factor(stage.index(), zero, k);
                    lower = wgmma(a.factor(stage.index(), zero + 64, k), columns, lower, true);
                }
                wgmma_commit();
                wgmma_wait(1);
                before.replace(stage);
            }
            // The other one's products come behind these.
            if tile + walk.apart < walk.all {
                if own == 0 { barrier_arrive(2, 256) } else { barrier_arrive(1, 256) }
            }
            let upper = upper.wait();
            let lower = lower.wait();
            before.release();
            consumer.pass(depth);
            let beta = Val::<E>::zero();
            let epilogue = Epilogue::of_batch(batch, steps, (alpha, beta), bias, residual, map)
                .scaled_by(batch, [row_scales, column_scales]);
            for (half, sums) in [upper, lower].into_iter().enumerate() {
                let row = row + 64 * half;
                let meet = || {
                    if own == 0 { barrier_sync(3, 128) } else { barrier_sync(4, 128) }
                };
                let write = |first| {
                    out.store_sums(sums, 0, first, |i, j, sum| {
                        finished(epilogue, sum.cast::<E>(), row + i, column + j, m, n)
                    })
                };
                let at = |first| [batch, row, column + first];
                leave(out, c_box, (W::N / panel, panel), leads, meet, write, at);
            }
        }
        if leads {
            bulk_wait(0);
        }
    }
    // The other block may still come to this one's barriers.
    if cluster > 1 {
        cluster_sync();
    }
}
