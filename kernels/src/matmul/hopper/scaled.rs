//! Products of 8-bit floats with scales: partial sums are promoted to f32 of the CUDA cores.

use kernelsmith::prelude::*;

use super::cooperative::BM;
use super::leave::leave;
use super::operand::{Operand, Order, fill, of_cluster, step};
use super::schedule::Walk;

/// Rows and columns of B, and columns of A, that have a scale in common.
pub(in crate::matmul) const BLOCK: usize = 128;

/// What of a product is known when its kernel is compiled.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ScaledForm {
    /// Blocks of a cluster, which share B.
    pub cluster: usize,
    /// Whether each 128 columns of a row of A have a scale, and each 128 x 128 elements of B; else each row
    /// of A has one, and each column of B.
    pub blocks: bool,
    /// Whether the function does anything.
    pub map: bool,
}

/// `C = map(A * B + bias)`, `A: m x k` and `B: n x k` 8-bit floats, both times scales: those of A are
/// `m x k / 128`, those of B `k / 128 x n / 128`; or, unless `form.blocks`, `m x 1` and `1 x n`.
///
/// The tensor cores sum 8-bit floats with fewer bits than an f32 has: each 128 bytes along k are summed by
/// themselves and added to sums in registers by the CUDA cores, times their scales (DeepSeek-V3 Technical
/// Report, section 3.3.2; DeepGEMM). While one warpgroup adds, the other one multiplies. All else is as in
/// [`matmul_cooperative`](super::matmul_cooperative).
#[kernel(block = 384, cluster = form.cluster)]
pub fn matmul_scaled<W: WgmmaAtom<Input = T, Sum = f32>, T: Stored, O: Num, const STAGES: usize>(
    #[comptime] form: ScaledForm,
    map: impl Fn(f32) -> f32 + Copy,
    a: &TensorMap<T, 3>,
    b: &TensorMap<T, 3>,
    a_scales: &View<f32, 2>,
    b_scales: &View<f32, 2>,
    bias: Option<&View<f32, 3>>,
    c: &mut TensorMap<O, 3>,
) {
    let cluster = form.cluster;
    let a = Operand::new(a, Order::AlongK, (BM, STAGES, 1));
    let b = Operand::new(b, Order::AlongK, (W::N, STAGES, cluster));
    let panel = 128 / size_of::<O>();
    let c_box = c.tile([1, 64, panel], Swizzle::B128);
    let c_tiles = tiles::<O>(2, [64, panel], Swizzle::B128);
    let (producer, consumer) = pipeline::<STAGES>(form.consumers()).split();

    let (m, n) = (c.shape(1), c.shape(2));
    let walk = Walk::new(c.shape(0), [m, n], W::N, cluster);
    let depth = a.depth().div_ceil(step::<T>());
    if warpgroup_id() == 0 {
        lower_registers(40);
        if warp_id() == 0 {
            if elect() {
                for tile in (walk.first..walk.all).step_by(walk.apart) {
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
        let half = warpgroup_id() - 1;
        let thread = thread_idx_x() % 128;
        let leads = thread == 0;
        let consumer = of_cluster(consumer.led_by(thread < cluster), thread, cluster);
        let out = c_tiles.stage(half);
        for tile in (walk.first..walk.all).step_by(walk.apart) {
            let (batch, row, column) = walk.tile(tile);
            let row = row + half * 64;
            let mut total = Fragment::<W, Accumulator>::zero();
            // A thread has sums of two rows, 8 apart. Rows outside of A have any scale.
            let upper = (row + Fragment::<W, Accumulator>::row(0)).min(m - 1);
            let lower = (row + Fragment::<W, Accumulator>::row(2)).min(m - 1);
            let block = (column / BLOCK).min(b_scales.shape(1) - 1);
            for k in 0..depth {
                let scales = if form.blocks {
                    let of_b = b_scales[[k, block]];
                    Some([a_scales[[upper, k]] * of_b, a_scales[[lower, k]] * of_b])
                } else {
                    None
                };
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
                total = add_scaled(total, sums, scales);
            }
            let meet = || barrier_sync(1, 256);
            let write = |first| {
                out.store_sums(total, 0, first, |i, j, sum| {
                    let (i, j) = (row + i, column + j);
                    let mut x = sum;
                    if i < m && j < n {
                        if !form.blocks {
                            x = x * (a_scales[[i, 0]] * b_scales[[0, j]]);
                        }
                        if let Some(bias) = bias {
                            x = x + bias[[batch, i, j]];
                        }
                        if form.map {
                            x = map(x);
                        }
                    }
                    x.cast::<O>()
                })
            };
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

impl ScaledForm {
    /// Warpgroups that use a stage before it is filled again: two of each block.
    fn consumers(self) -> u32 {
        2 * self.cluster as u32
    }
}

/// The sums added to the total, times the scales of a thread's two rows if there are any.
#[track_caller]
fn add_scaled<W: WgmmaAtom<Sum = f32>>(
    total: Fragment<W, Accumulator>,
    sums: Fragment<W, Accumulator>,
    scales: Option<[Val<f32>; 2]>,
) -> Fragment<W, Accumulator> {
    total.map_elements(|i, x| match scales {
        Some(scales) => sums.element(i).mul_add(scales[i / 2 % 2], x),
        None => x + sums.element(i),
    })
}
