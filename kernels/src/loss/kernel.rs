//! The kernels of the cross-entropy.

use std::f32::consts::LOG2_E;

use kernelsmith::prelude::*;

/// Logits of a lane that are looked at together: one rescaling of the sum for so many exponentials.
const TOGETHER: usize = 8;

/// A lane's logits so far: their greatest, and the sum of `2^((x - greatest) log2 e)`.
#[derive(KernelValue, Clone, Copy)]
struct Online {
    max: Val<f32>,
    sum: Val<f32>,
}

#[device]
impl Online {
    /// With some more.
    fn with<const N: usize>(&self, x: [f32; N]) -> Online {
        let mut max = self.max;
        for i in unroll(0..N) {
            max = max.max(x[i]);
        }
        // Of nothing but -inf, whose differences are NaN, the sum stays 0.
        let base = if max == f32::NEG_INFINITY { 0.0 } else { max };
        let mut sum = self.sum * ((self.max - base) * LOG2_E).exp2_fast();
        for i in unroll(0..N) {
            sum += ((x[i] - base) * LOG2_E).exp2_fast();
        }
        Online { max, sum }
    }

    /// `ln(sum(e^x))` of all lanes' logits.
    fn finish(&self) -> f32 {
        let max = warp_max(self.max);
        let base = if max == f32::NEG_INFINITY { 0.0 } else { max };
        let sum = warp_sum(self.sum * ((self.max - base) * LOG2_E).exp2_fast());
        base + sum.ln()
    }
}

/// The loss of each row and `ln(sum(e^x))` of it, in one sweep. A block is one warp and takes whole rows.
/// Rows whose target is `ignore` have a loss of 0.
#[kernel(
    block = warp_size(),
    requires = (
        x.len() >= losses.shape(0) * columns,
        targets.len() >= losses.shape(0),
        losses.shape(1) == 1,
        losses.tile(1) == 1,
        normalizers.shape(0) == losses.shape(0),
        normalizers.shape(1) == 1,
        normalizers.tile(0) == losses.tile(0),
        normalizers.tile(1) == 1,
    ),
)]
pub fn cross_entropy_kernel<T: Float>(
    #[comptime] smoothed: bool,
    columns: usize,
    ignore: u32,
    smoothing: f32,
    x: &[T],
    targets: &[u32],
    losses: &mut Part<f32, 2>,
    normalizers: &mut Part<f32, 2>,
) {
    let group = TOGETHER * warp_size();
    for i in 0..losses.count(0) {
        let at = losses.global(0, i);
        let row = &x[at * columns..at * columns + columns];
        let target = targets[at];
        let counts = target != ignore;
        device_assert!(
            !counts | ((target as usize) < columns),
            "targets[{at}] is {target}, but there are {columns} classes"
        );
        let mut online = Online { max: f32::NEG_INFINITY, sum: 0.0 };
        let mut total = 0.0f32;
        let groups = columns / group;
        for g in 0..groups {
            let part = &row[g * group..(g + 1) * group];
            let some: [f32; TOGETHER] = array(|k| part[k * warp_size() + lane_id()].to_f32());
            online = online.with(some);
            if smoothed {
                for k in unroll(0..TOGETHER) {
                    total += some[k];
                }
            }
        }
        let rest = &row[groups * group..columns];
        for c in (lane_id()..rest.len()).step_by(warp_size()) {
            let one = rest[c].to_f32();
            online = online.with([one]);
            if smoothed {
                total += one;
            }
        }
        let normalizer = online.finish();
        let class: usize = if counts { target as usize } else { 0 };
        let own = row[class].to_f32();
        let mut loss = normalizer - own;
        if smoothed {
            let mean = warp_sum(total) / columns as f32;
            loss = loss + smoothing * (own - mean);
        }
        if losses.owns([i, 0]) {
            losses[[i, 0]] = if counts { loss } else { 0.0 };
            normalizers[[i, 0]] = normalizer;
        }
    }
}

/// `dx = (softmax(x) - target) * scale` of each row, with what the loss found. Without `x`, `dx` has the logits.
#[kernel(
    block = warp_size(),
    requires = (
        targets.len() >= dx.shape(0),
        normalizers.len() >= dx.shape(0),
        dx.tile(1) >= dx.shape(1),
    ),
)]
pub fn cross_entropy_gradient_kernel<T: Float>(
    #[comptime] streaming: bool,
    ignore: u32,
    smoothing: f32,
    scale: f32,
    x: Option<&[T]>,
    targets: &[u32],
    normalizers: &[f32],
    dx: &mut Part<T, 2>,
) {
    let columns = dx.shape(1);
    for i in 0..dx.count(0) {
        let at = dx.global(0, i);
        let target = targets[at];
        let normalizer = normalizers[at];
        // What the target has, and every class.
        let scale = if target == ignore { 0.0 } else { scale };
        let (own, each) = ((1.0 - smoothing) * scale, smoothing / columns as f32 * scale);
        for j in 0..dx.count(1) {
            let column = dx.global(1, j);
            let logit = match x {
                Some(x) => x[at * columns + column].to_f32(),
                None => dx[[i, j]].to_f32(),
            };
            let share = ((logit - normalizer) * LOG2_E).exp2_fast();
            let value = share.mul_add(scale, -each);
            let value = if column == target as usize { value - own } else { value };
            let value = if target == ignore { 0.0 } else { value };
            if streaming {
                dx.store_streaming([i, j], value.cast::<T>());
            } else {
                dx[[i, j]] = value.cast::<T>();
            }
        }
    }
}
