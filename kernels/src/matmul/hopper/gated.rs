//! Pairs of products of one left factor, of which one gates the other.

use kernelsmith::prelude::*;

use super::cooperative::{BM, Form};
use super::leave::leave;
use super::operand::{Operand, fill, of_cluster, step};
use super::schedule::Walk;

/// `C = combine(A * gate, A * up)`, element by element, `A: m x k`, `gate` and `up`: `k x n`, in the order
/// `form.b`. All else is as in [`matmul_cooperative`](super::matmul_cooperative), with a tile of each product:
/// neither of them is stored.
#[kernel(block = 384, cluster = form.cluster)]
pub fn matmul_gated<W: WgmmaAtom<Input = T, Sum = f32>, T: Stored, O: Num, const STAGES: usize>(
    #[comptime] form: Form,
    combine: impl Fn(f32, f32) -> f32 + Copy,
    a: &TensorMap<T, 3>,
    gate: &TensorMap<T, 3>,
    up: &TensorMap<T, 3>,
    c: &mut TensorMap<O, 3>,
) {
    let cluster = form.cluster;
    let a = Operand::new(a, form.a, (BM, STAGES, 1));
    let gate = Operand::new(gate, form.b, (W::N, STAGES, cluster));
    let up = Operand::new(up, form.b, (W::N, STAGES, cluster));
    let panel = 128 / size_of::<O>();
    let c_box = c.tile([1, 64, panel], Swizzle::B128);
    let c_tiles = tiles::<O>(2, [64, panel], Swizzle::B128);
    let (producer, consumer) = pipeline::<STAGES>(form.consumers()).split();

    let walk = Walk::new(c.shape(0), [c.shape(1), c.shape(2)], W::N, cluster);
    let depth = a.depth().div_ceil(step::<T>());
    let zero = Val::<usize>::zero();
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
                        let right = [batch, column];
                        let factors = [(a, [batch, row]), (gate, right), (up, right)];
                        fill(&producer, &factors, k, walk.rank);
                    }
                }
            }
        }
    } else {
        raise_registers(232);
        let half = warpgroup_id() - 1;
        let thread = thread_idx_x() % 128;
        let leads = thread == 0;
        let consumer = of_cluster(consumer.led_by(thread < cluster), thread, cluster);
        let out = c_tiles.stage(half);
        let mut next = walk.first;
        while next < walk.all {
            let tile = next;
            next += walk.apart;
            let (batch, row, column) = walk.tile(tile);
            let row = row + half * 64;
            let mut gates = InFlight::<W>::zero();
            let mut ups = InFlight::<W>::zero();
            let before = consumer.hold();
            for _ in 0..depth {
                let stage = consumer.wait();
                wgmma_fence();
                for j in unroll(0..4) {
                    let (at, k) = (stage.index(), j * W::K);
                    gates =
                        wgmma(a.factor(at, half * 64, k), gate.factor(at, zero, k), gates, true);
                    ups = wgmma(a.factor(at, half * 64, k), up.factor(at, zero, k), ups, true);
                }
                wgmma_commit();
                wgmma_wait(1);
                before.replace(stage);
            }
            let gates = gates.wait();
            let ups = ups.wait();
            before.release();
            let sums = gates.map_elements(|i, gate| combine(gate, ups.element(i)));
            let meet = || barrier_sync(1, 256);
            let write = |first| out.store_sums(sums, 0, first, |_, _, x| x.cast::<O>());
            let at = |first| [batch, row, column + first];
            leave(out, c_box, (W::N / panel, panel), leads, meet, write, at);
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
