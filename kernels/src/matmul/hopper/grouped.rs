//! Products of groups of rows, each with a right factor of its own.

use kernelsmith::prelude::*;

use super::cooperative::BM;
use super::operand::{Operand, Order, fill, step};
use super::scaled::{Blocks, add_scaled};
use super::schedule::quotient;

/// What of a product is known when its kernel is compiled.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct GroupedForm {
    /// How the right factors are stored.
    pub b: Order,
    /// Whether each group is a matrix of its own of which the first rows count; else groups follow each
    /// other in one matrix.
    pub masked: bool,
    /// Whether the function does anything.
    pub map: bool,
}

/// `C = map(A * B)` of groups of rows of A, `A: 1 x rows x k`, each with its matrix of B, `groups x k x n`;
/// `ends` says behind which row a group ends. Or, if `form.masked`, `A: groups x most x k`, and `ends` how many
/// rows of each count. Rows of no group stay what they were.
///
/// 8-bit floats have scales, and sums that are promoted, as in [`matmul_scaled`](super::matmul_scaled): one scale for
/// each 128 elements of a row of A, `fine`, matrices as A's, and one for each 128 x 128 of a group's matrix of B,
/// `coarse: groups x k / 128 x n / 128`.
///
/// Blocks take tiles of `128 x N` in turn, as in [`matmul_cooperative`](super::matmul_cooperative), and find
/// out by `ends`, in the kernel, which group a tile is of: nobody waits for the host. A group may begin and
/// end at any row. A tile's last rows may be of the next group, which has other products: they are not
/// stored, so that C leaves row by row and not by the copy engine.
#[kernel(block = 384)]
pub fn matmul_grouped<
    W: WgmmaAtom<Input = T, Sum = f32>,
    T: Stored,
    O: Num,
    const STAGES: usize,
>(
    #[comptime] form: GroupedForm,
    map: impl Fn(f32) -> f32 + Copy,
    a: &TensorMap<T, 3>,
    b: &TensorMap<T, 3>,
    ends: &[u32],
    fine: Option<&View<f32, 3>>,
    coarse: Option<&View<f32, 3>>,
    c: &mut View<O, 3>,
) {
    let a = Operand::new(a, Order::AlongK, (BM, STAGES, 1));
    let b = Operand::new(b, form.b, (W::N, STAGES, 1));
    let panel = 128 / size_of::<O>();
    let c_tiles = tiles::<O>(2, [64, panel], Swizzle::B128);
    let (producer, consumer) = pipeline::<STAGES>(2).split();

    let (groups, rows, n) = (ends.len(), c.shape(1), c.shape(2));
    // Tiles are counted in 32 bits, of which a quotient is a fifth of one of 64.
    let across = n.div_ceil(W::N) as u32;
    let depth = a.depth().div_ceil(step::<T>());
    let zero = Val::<usize>::zero();
    // The tile, its group, and how many tiles there are before the group.
    let mut tile = block_idx_x() as u32;
    let mut group = zero;
    let mut before = Val::<u32>::zero();
    if warpgroup_id() == 0 {
        lower_registers(40);
        if warp_id() == 0 {
            if elect() {
                while group < groups {
                    let (begin, end) = rows_of(ends, form.masked, group, rows);
                    let down = (end - begin).div_ceil(BM) as u32;
                    if tile < before + down * across {
                        let (row, column) = place(tile - before, down, begin, W::N);
                        let matrix = if form.masked { group } else { zero };
                        for k in 0..depth {
                            let factors = [(a, [matrix, row]), (b, [group, column])];
                            fill(&producer, &factors, k, zero);
                        }
                        tile += grid_dim_x() as u32;
                    } else {
                        before += down * across;
                        group += 1;
                    }
                }
            }
        }
    } else {
        raise_registers(232);
        let half = warpgroup_id() - 1;
        let thread = thread_idx_x() % 128;
        let consumer = consumer.led_by(thread == 0);
        let out = c_tiles.stage(half);
        while group < groups {
            let (begin, end) = rows_of(ends, form.masked, group, rows);
            let down = (end - begin).div_ceil(BM) as u32;
            if tile < before + down * across {
                let (row, column) = place(tile - before, down, begin, W::N);
                let row = row + half * 64;
                let matrix = if form.masked { group } else { zero };
                let sums = if let (Some(fine), Some(coarse)) = (fine, coarse) {
                    let scales = (Some(fine.outer(matrix)), Some(coarse.outer(group)));
                    let (at, ends) = ([row, column], [rows, n]);
                    let blocks = Blocks::new::<W>(scales.0, scales.1, false, at, ends);
                    let mut total = Fragment::<W, Accumulator>::zero();
                    for k in 0..depth {
                        let scales = blocks.as_ref().map(|blocks| blocks.at(k));
                        let stage = consumer.wait();
                        let mut sums = InFlight::<W>::zero();
                        wgmma_fence();
                        for j in unroll(0..4) {
                            let a = a.factor(stage.index(), half * 64, j * W::K);
                            let b = b.factor(stage.index(), zero, j * W::K);
                            sums = wgmma(a, b, sums, j > 0);
                        }
                        wgmma_commit();
                        let sums = sums.wait();
                        stage.release();
                        total = add_scaled(total, sums, &scales, false);
                    }
                    total
                } else {
                    let mut sums = InFlight::<W>::zero();
                    let used = consumer.hold();
                    for _ in 0..depth {
                        let stage = consumer.wait();
                        wgmma_fence();
                        for j in unroll(0..4) {
                            let a = a.factor(stage.index(), half * 64, j * W::K);
                            let b = b.factor(stage.index(), zero, j * W::K);
                            sums = wgmma(a, b, sums, true);
                        }
                        wgmma_commit();
                        wgmma_wait(1);
                        used.replace(stage);
                    }
                    let sums = sums.wait();
                    used.release();
                    sums
                };
                for pass in unroll(0..W::N / panel) {
                    let pass = pass * panel;
                    // Who still reads the panel before is waited for.
                    barrier_sync(1, 256);
                    out.store_sums(sums, 0, pass, |_, _, sum| {
                        if form.map { map(sum).cast::<O>() } else { sum.cast::<O>() }
                    });
                    barrier_sync(1, 256);
                    let (from, own) = (thread / panel, thread % panel);
                    for i in range(0, panel / 2) {
                        let i = i * (128 / panel) + from;
                        let at = column + pass + own;
                        if row + i < end && at < n {
                            c[[matrix, row + i, at]] = out.at(i, own).get();
                        }
                    }
                }
                tile += grid_dim_x() as u32;
            } else {
                before += down * across;
                group += 1;
            }
        }
    }
}

/// The first row and column of a group's tile, of `down` one below the other from row `begin` on.
#[device]
fn place(tile: u32, down: u32, begin: usize, #[comptime] width: usize) -> (usize, usize) {
    let (column, row) = quotient(tile, down);
    (begin + row as usize * BM, column as usize * width)
}

/// The first row of a group and the one behind its last, of `rows`. Ends come from the device: what is beyond
/// the rows, or before the end of the group before, is cut off.
#[device]
fn rows_of(ends: &[u32], #[comptime] masked: bool, group: usize, rows: usize) -> (usize, usize) {
    let end = (ends[group] as usize).min(rows);
    if masked {
        return (Val::<usize>::zero(), end);
    }
    let begin = if group > 0 { ends[group - 1] as usize } else { Val::<usize>::zero() };
    (begin.min(end), end)
}
