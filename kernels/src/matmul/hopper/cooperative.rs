//! The cooperative matmul: one warpgroup copies, two multiply halves of a tile each.

use kernelsmith::prelude::*;

use super::leave::leave;
use super::operand::{Operand, Order, fill, of_cluster, step};
use super::schedule::{Walk, part_of, whole_of};
use super::stream::{Stream, each_tile, give, registers, steps_of, take};
use crate::matmul::epilogue::Epilogue;
use crate::matmul::{Steps, Summed};

/// Rows of a tile of sums: 64 for each of the two warpgroups that multiply.
pub(super) const BM: usize = 128;

/// What of a product is known when its kernel is compiled.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Form {
    /// How the left factor is stored.
    pub a: Order,
    /// How the right factor is stored.
    pub b: Order,
    /// Blocks of a cluster: they take tiles one above the other, and each loads a part of B for all.
    pub cluster: usize,
    /// Whether C is stored as the transpose of the sums, which is `n x m`: few rows of C are then the
    /// columns of a tile, of which there may be few, and not its 128 rows.
    pub exchanged: bool,
}

impl Form {
    /// Warpgroups that use a stage before it is filled again: two of each block.
    pub(super) fn consumers(self) -> u32 {
        2 * self.cluster as u32
    }

    /// The same where each warpgroup has stages of its own: one of each block.
    pub(super) fn owners(self) -> u32 {
        self.cluster as u32
    }
}

/// `C = map(alpha * A * B + bias) + residual` of each matrix of a batch, `A: m x k`, `B: k x n`, sums times the
/// scales of their row and their column if there are any; or C is the transpose of that, if `form.exchanged`,
/// and bias, residual and scales are as C. `W` is the instruction, `m64nN`, which sums in `S`; what is done to
/// the sums is done in `E`.
///
/// Persistent: as many blocks as the device has multiprocessors take tiles of `128 x N` in turn. A producer
/// warp fills a ring of `STAGES` stages, each 128 bytes along k of A and B; two warpgroups wait for a stage,
/// begin its products, and release the stage before once its own are done. The sums leave through shared
/// memory and the copy engine, while the producer already loads the next tile.
///
/// `group` rows of tiles, or of clusters of tiles, are taken together, column by column.
///
/// C may have `parts` matrices for each of A, one behind the other: each is the sum over one part of the
/// depth. Then there is no bias and no residual.
///
/// With `partials` and `flags` the steps of the tiles that would be the last wave, and of one wave besides, are
/// shared out evenly among the blocks (stream-K): `partials` has a row of `128 * N` for each block, `flags` a zero.
/// Blocks wait for those before them in the grid: all must be there at once or begin in order, so there are no
/// more than the device has multiprocessors. Then there are no parts.
#[kernel(block = 384, cluster = form.cluster)]
pub fn matmul_cooperative<
    W: WgmmaAtom<Input = T, Sum = S>,
    T: Stored,
    S: Num,
    E: Num + Summed,
    O: Num,
    const STAGES: usize,
>(
    alpha: E,
    parts: usize,
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
    partials: Option<&mut View<S, 2>>,
    flags: Option<&mut [u32]>,
    c: &mut TensorMap<O, 3>,
) {
    let Form { a: a_order, b: b_order, cluster, exchanged } = form;
    let a = Operand::new(a, a_order, (BM, STAGES, 1));
    let b = Operand::new(b, b_order, (W::N, STAGES, cluster));
    // Columns of C of a panel in shared memory: 128 bytes. A warpgroup's tile of C leaves through one
    // panel after the other; exchanged, its few rows leave at once.
    let panel = 128 / size_of::<O>();
    let out_shape = if exchanged { [W::N, 64] } else { [64, panel] };
    let c_box = c.tile([1, out_shape[0], panel], Swizzle::B128);
    let c_tiles = tiles::<O>(2, out_shape, Swizzle::B128);
    let (producer, consumer) = pipeline::<STAGES>(form.consumers()).split();

    let (rows, columns) = (c.shape(1), c.shape(2));
    let (m, n) = if exchanged { (columns, rows) } else { (rows, columns) };
    let walk = Walk::new(c.shape(0), [m, n], W::N, cluster).by(group);
    let depth = a.depth().div_ceil(step::<T>());
    let stream = Stream::new(partials, flags, walk, depth);
    let [copying, computing] = registers(&stream);
    if warpgroup_id() == 0 {
        lower_registers(copying);
        if warp_id() == 0 {
            if elect() {
                each_tile(walk, stream, |tile, span| {
                    let (matrix, row, column) = walk.tile(tile);
                    let (batch, part) = whole_of(matrix, parts);
                    let (begin, end) = steps_of(span, || part_of(depth, part, parts));
                    for k in begin..end {
                        let factors = [(a, [batch, row]), (b, [batch, column])];
                        fill(&producer, &factors, k, walk.rank);
                    }
                });
            }
        }
    } else {
        raise_registers(computing);
        let half = warpgroup_id() - 1;
        let thread = thread_idx_x() % 128;
        let leads = thread == 0;
        let consumer = of_cluster(consumer.led_by(thread < cluster), thread, cluster);
        let out = c_tiles.stage(half);
        each_tile(walk, stream, |tile, span| {
            let (matrix, row, column) = walk.tile(tile);
            let row = row + half * 64;
            let (_, part) = whole_of(matrix, parts);
            let (begin, end) = steps_of(span, || part_of(depth, part, parts));
            let mut sums = InFlight::<W>::zero();
            let before = consumer.hold();
            for _ in begin..end {
                let stage = consumer.wait();
                wgmma_fence();
                for k in unroll(0..4) {
                    let k = k * W::K;
                    let a = a.factor(stage.index(), half * 64, k);
                    let b = b.factor(stage.index(), Val::<usize>::zero(), k);
                    sums = wgmma(a, b, sums, true);
                }
                wgmma_commit();
                wgmma_wait(1);
                before.replace(stage);
            }
            let sums = sums.wait();
            before.release();
            let finish = |sums: Fragment<W, Accumulator>| {
                let beta = Val::<E>::zero();
                let epilogue =
                    Epilogue::of_batch(matrix, steps, (alpha, beta), bias, residual, map)
                        .scaled_by(matrix, [row_scales, column_scales]);
                let meet = || barrier_sync(1, 256);
                if exchanged {
                    let write = |_| {
                        out.store_sums_transposed(sums, |i, j, sum| {
                            let sum = sum.cast::<E>();
                            finished(epilogue, sum, column + j, row + i, rows, columns)
                        })
                    };
                    leave(out, c_box, (1, panel), leads, meet, write, |_| [matrix, column, row]);
                } else {
                    let write = |first| {
                        out.store_sums(sums, 0, first, |i, j, sum| {
                            let sum = sum.cast::<E>();
                            finished(epilogue, sum, row + i, column + j, rows, columns)
                        })
                    };
                    let at = |first| [matrix, row, column + first];
                    leave(out, c_box, (W::N / panel, panel), leads, meet, write, at);
                }
            };
            if let Some(stream) = stream {
                if begin > 0 {
                    give(sums, stream);
                } else {
                    finish(take(sums, stream, cluster, end));
                }
            } else {
                finish(sums);
            }
        });
        if leads {
            bulk_wait(0);
        }
    }
    // The other block may still come to this one's barriers.
    if cluster > 1 {
        cluster_sync();
    }
}

/// An element of C. What lies outside of it is not stored, and has no bias.
#[device]
pub(super) fn finished<S: Num + Summed, O: Num, F: Fn(S) -> S + Copy>(
    epilogue: Epilogue<S, O, F>,
    sum: S,
    row: usize,
    column: usize,
    rows: usize,
    columns: usize,
) -> O {
    if epilogue.is_linear() {
        return (epilogue.alpha * sum).cast::<O>();
    }
    let x = if row < rows && column < columns {
        let x = epilogue.alpha * epilogue.scaled(sum, row, column);
        epilogue.end(x, row, column)
    } else {
        sum
    };
    x.cast::<O>()
}
