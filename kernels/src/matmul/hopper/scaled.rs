//! Products of 8-bit floats with scales: partial sums are promoted to f32 of the CUDA cores.

use kernelsmith::prelude::*;

use super::cooperative::{BM, finished};
use super::leave::leave;
use super::operand::{Operand, Order, fill, of_cluster, step};
use super::schedule::{Walk, part_of, whole_of};
use crate::matmul::Steps;
use crate::matmul::epilogue::Epilogue;

/// Rows and columns of B, and columns of A, that have a scale in common.
pub(in crate::matmul) const BLOCK: usize = 128;

/// What of a product is known when its kernel is compiled.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ScaledForm {
    /// Blocks of a cluster, which share B.
    pub cluster: usize,
    /// Whether C is stored as the transpose of the sums, as [`Form::exchanged`](super::Form).
    pub exchanged: bool,
}

/// `C = map(A * B + bias)`, `A: m x k` and `B: n x k` 8-bit floats, sums times the scales of their row and
/// their column if there are any; or C is the transpose of that, if `form.exchanged`, and bias and scales are
/// as C.
///
/// Where scales are in blocks there is one for each 128 elements of a row of A, `fine: m x k / 128`, and one
/// for each 128 x 128 of B, `coarse: k / 128 x n / 128`; exchanged, the fine ones are B's, `n x k / 128`, and the
/// coarse ones A's, `k / 128 x m / 128`.
///
/// The tensor cores sum 8-bit floats with fewer bits than an f32 has: each 128 bytes along k are summed by
/// themselves and added to sums in registers by the CUDA cores, times their scales (DeepSeek-V3 Technical
/// Report, section 3.3.2; DeepGEMM). While one warpgroup adds, the other one multiplies. All else is as in
/// [`matmul_cooperative`](super::matmul_cooperative), parts of the depth too.
#[kernel(block = 384, cluster = form.cluster)]
pub fn matmul_scaled<W: WgmmaAtom<Input = T, Sum = f32>, T: Stored, O: Num, const STAGES: usize>(
    parts: usize,
    group: usize,
    #[comptime] form: ScaledForm,
    #[comptime] steps: Steps,
    map: impl Fn(f32) -> f32 + Copy,
    a: &TensorMap<T, 3>,
    b: &TensorMap<T, 3>,
    fine: Option<&View<f32, 2>>,
    coarse: Option<&View<f32, 2>>,
    bias: Option<&View<f32, 3>>,
    row_scales: Option<&View<f32, 3>>,
    column_scales: Option<&View<f32, 3>>,
    c: &mut TensorMap<O, 3>,
) {
    let ScaledForm { cluster, exchanged } = form;
    let a = Operand::new(a, Order::AlongK, (BM, STAGES, 1));
    let b = Operand::new(b, Order::AlongK, (W::N, STAGES, cluster));
    let panel = 128 / size_of::<O>();
    let out_shape = if exchanged { [W::N, 64] } else { [64, panel] };
    let c_box = c.tile([1, out_shape[0], panel], Swizzle::B128);
    let c_tiles = tiles::<O>(2, out_shape, Swizzle::B128);
    let (producer, consumer) = pipeline::<STAGES>(form.consumers()).split();

    let (rows, columns) = (c.shape(1), c.shape(2));
    let (m, n) = if exchanged { (columns, rows) } else { (rows, columns) };
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
                    let (matrix, row, column) = walk.tile(tile);
                    let (batch, part) = whole_of(matrix, parts);
                    let (begin, end) = part_of(depth, part, parts);
                    for k in begin..end {
                        let factors = [(a, [batch, row]), (b, [batch, column])];
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
            let (matrix, row, column) = walk.tile(tile);
            let row = row + half * 64;
            let (_, part) = whole_of(matrix, parts);
            let (begin, end) = part_of(depth, part, parts);
            let mut total = Fragment::<W, Accumulator>::zero();
            let blocks = Blocks::new::<W>(fine, coarse, exchanged, [row, column], [m, n]);
            for k in begin..end {
                let scales = blocks.as_ref().map(|blocks| blocks.at(k));
                let stage = consumer.wait();
                let mut sums = InFlight::<W>::zero();
                wgmma_fence();
                for j in unroll(0..4) {
                    let a = a.factor(stage.index(), half * 64, j * W::K);
                    let b = b.factor(stage.index(), Val::<usize>::zero(), j * W::K);
                    sums = wgmma(a, b, sums, j > 0);
                }
                wgmma_commit();
                let sums = sums.wait();
                stage.release();
                total = add_scaled(total, sums, &scales, exchanged);
            }
            let one: f32 = 1.0;
            let epilogue = Epilogue::of_batch(matrix, steps, (one, one), bias, None, map)
                .scaled_by(matrix, [row_scales, column_scales]);
            let meet = || barrier_sync(1, 256);
            if exchanged {
                let write = |_| {
                    out.store_sums_transposed(total, |i, j, sum| {
                        finished(epilogue, sum, column + j, row + i, rows, columns)
                    })
                };
                leave(out, c_box, (1, panel), leads, meet, write, |_| [matrix, column, row]);
            } else {
                let write = |first| {
                    out.store_sums(total, 0, first, |i, j, sum| {
                        finished(epilogue, sum, row + i, column + j, rows, columns)
                    })
                };
                let at = |first| [matrix, row, column + first];
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

impl ScaledForm {
    /// Warpgroups that use a stage before it is filled again: two of each block.
    fn consumers(self) -> u32 {
        2 * self.cluster as u32
    }
}

/// The scales in blocks that a thread's sums need, if there are any.
pub(super) struct Blocks {
    /// One for each 128 elements along k of a row of A, or of B if exchanged.
    fine: ViewRef<f32, 2>,
    /// The rows of that factor whose sums the thread has.
    lines: Vec<Val<usize>>,
    /// One for each 128 x 128 of the other factor.
    coarse: ViewRef<f32, 2>,
    /// The 128 rows of that factor that the tile lies in.
    block: Val<usize>,
}

impl Blocks {
    /// Of the tile of `m x n` sums at a row and a column. Rows and columns outside have any scale.
    #[track_caller]
    pub(super) fn new<W: WgmmaAtom>(
        fine: Option<ViewRef<f32, 2>>,
        coarse: Option<ViewRef<f32, 2>>,
        exchanged: bool,
        [row, column]: [Val<usize>; 2],
        [m, n]: [Val<usize>; 2],
    ) -> Option<Blocks> {
        let (fine, coarse) = (fine?, coarse?);
        let mut lines = Vec::new();
        // An element of each line: see `line`.
        let elements: Vec<usize> = match exchanged {
            true => (0..W::N / 4).map(|line| line / 2 * 4 + line % 2).collect(),
            false => vec![0, 2],
        };
        for i in elements {
            lines.push(match exchanged {
                true => (column + Fragment::<W, Accumulator>::column(i)).min(n - 1),
                false => (row + Fragment::<W, Accumulator>::row(i)).min(m - 1),
            });
        }
        let block = if exchanged { row } else { column } / BLOCK;
        let block = block.min(coarse.shape(1) - 1);
        Some(Blocks { fine, lines, coarse, block })
    }

    /// The scales of each line for step `k`.
    #[track_caller]
    pub(super) fn at(&self, k: Val<usize>) -> Vec<Val<f32>> {
        let of_block = element(self.coarse, k, self.block);
        let mut scales = Vec::new();
        for &line in &self.lines {
            scales.push(element(self.fine, line, k) * of_block);
        }
        scales
    }
}

#[device]
fn element(x: &View<f32, 2>, row: usize, column: usize) -> f32 {
    x[[row, column]]
}

/// Which of a thread's rows element `i` of its sums is in, or, exchanged, which of its columns: it has elements
/// of two rows, 8 apart, and of two columns in each 8 (PTX ISA, "Register Fragments for
/// wgmma.mma_async.m64nNk32", matrix D).
fn line(i: usize, exchanged: bool) -> usize {
    if exchanged { i / 4 * 2 + i % 2 } else { i / 2 % 2 }
}

/// The sums added to the total, times the scales of their lines if there are any.
#[track_caller]
pub(super) fn add_scaled<W: WgmmaAtom<Sum = f32>>(
    total: Fragment<W, Accumulator>,
    sums: Fragment<W, Accumulator>,
    scales: &Option<Vec<Val<f32>>>,
    exchanged: bool,
) -> Fragment<W, Accumulator> {
    total.map_elements(|i, x| match scales {
        Some(scales) => sums.element(i).mul_add(scales[line(i, exchanged)], x),
        None => x + sums.element(i),
    })
}
