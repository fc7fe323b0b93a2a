//! The product: one warpgroup copies, two turn bits into left factors and multiply.

use kernelsmith::prelude::*;

use super::decode::Half;
use super::fragments::{DEPTH, Form, ROWS};
use crate::matmul::hopper::{Walk, part_of};

/// `Y = X * W'` with `X: m x k` of 16-bit floats and quantised `W: n x k`, packed as [`Form`] says. Sums are of
/// the transpose, so that rows of W are those of the instruction `W`, and rows of X, of which there may be
/// few, its columns.
///
/// Persistent: as many blocks as the device has multiprocessors take tiles of 128 rows of W and `N` of X in
/// turn. A producer warp fills a ring of `STAGES` stages, each 128 along K: a piece of W by one copy, X by the
/// copy engine. Two warpgroups turn their half of the piece into left factors in registers and multiply; while one
/// decodes, the tensor cores have the other one's products.
///
/// Y may be `parts` matrices one behind the other: each is the sum over one part of the depth.
#[kernel(block = 384)]
pub fn quantized_wgmma<W: WgmmaAtom<Input = T, Sum = f32>, T: Float, const STAGES: usize>(
    parts: usize,
    #[comptime] form: Form,
    w: &[u32],
    x: &TensorMap<T, 3>,
    y: &mut View<f32, 3>,
) {
    let x_box = x.tile([1, W::N, 128 / size_of::<T>()], Swizzle::B128);
    let x_tiles = tiles::<T>(STAGES, [W::N, DEPTH], Swizzle::B128);
    let pieces = shared::<u32>(STAGES * form.words());
    // Each warp says for itself that it has read its part of a stage: 8 of them.
    let (producer, consumer) = pipeline::<STAGES>(8).split();

    let (m, n) = (y.shape(1), y.shape(2));
    let depth = x.shape(2).div_ceil(DEPTH);
    let walk = Walk::new(y.shape(0), [n, m], W::N, 1);
    if warpgroup_id() == 0 {
        lower_registers(40);
        if warp_id() == 0 {
            if elect() {
                let mut next = walk.first;
                while next < walk.all {
                    let tile = next;
                    next += walk.apart;
                    let (part, row, column) = walk.tile(tile);
                    let (begin, end) = part_of(depth, part, parts);
                    for k in begin..end {
                        let stage = producer.acquire();
                        let (to, from) = (stage.index() * form.words(), row / ROWS * depth + k);
                        let barrier = stage.barrier();
                        pieces.load_bulk(to, w, from * form.words(), form.words(), barrier);
                        let x_tile = x_tiles.stage(stage.index());
                        x_tile.load(x_box, [Val::<usize>::zero(), column, k * DEPTH], barrier);
                        stage.commit_bytes(4 * form.words() + x_tiles.bytes());
                    }
                }
            }
        }
    } else {
        raise_registers(232);
        let half = warpgroup_id() - 1;
        let thread = thread_idx_x() % 128;
        let consumer = consumer.led_by(thread % 32 == 0);
        let mut next = walk.first;
        while next < walk.all {
            let tile = next;
            next += walk.apart;
            let (part, row, column) = walk.tile(tile);
            let row = row + half * 64;
            let (begin, end) = part_of(depth, part, parts);
            let mut sums = InFlight::<W>::zero();
            for _ in begin..end {
                let stage = consumer.wait();
                let first = stage.index() * form.words() + half * form.half_words();
                let factors = Half { form, words: pieces, first, thread }.factors::<W, T>();
                let right = x_tiles.stage(stage.index());
                wgmma_fence();
                for (slice, left) in factors.into_iter().enumerate() {
                    sums = wgmma(left, right.k_major(0, slice * W::K), sums, true);
                }
                wgmma_commit();
                // The next piece's factors take the registers of these, which products read until they are
                // waited for (PTX ISA, `wgmma.mma_async`: registers of fragments). Meanwhile the tensor
                // cores have the other warpgroup's.
                wgmma_wait(0);
                stage.release();
            }
            let sums = sums.wait();
            for i in unroll(0..sums.len()) {
                let row = row + Fragment::<W, Accumulator>::row(i);
                let column = column + Fragment::<W, Accumulator>::column(i);
                if row < n && column < m {
                    y[[part, column, row]] = sums.element(i);
                }
            }
        }
    }
}
