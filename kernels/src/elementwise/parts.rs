use kernelsmith::prelude::*;

use crate::error::Error;

/// Elements of a block.
const BLOCK: usize = 4096;

/// The sum of `splits` parts, each as long as `y`, in their order.
#[kernel(
    block = warp_size(),
    requires = (parts.len() >= splits * y.shape(0)),
)]
pub fn sum_parts_kernel<T: Float>(splits: usize, parts: &[f32], y: &mut Part<T, 1>) {
    let len = y.shape(0);
    for i in 0..y.count(0) {
        let at = y.global(0, i);
        let mut sum = 0.0;
        for s in 0..splits {
            sum += parts[s * len + at];
        }
        y[i] = sum.cast::<T>();
    }
}

/// `y = parts[0] + parts[1] + ..`, each as long as `y`, summed in f32 in this order: how blocks add up without
/// atomics, so that the results are the same bits every time.
pub(crate) fn sum_parts<T: Float>(parts: &Buffer<f32>, y: &mut Buffer<T>) -> Result<(), Error> {
    let Some(splits) = parts.len().checked_div(y.len()) else { return Ok(()) };
    let device = y.device().clone();
    sum_parts_kernel(splits, parts, y.partition([BLOCK])).launch(&device)?;
    Ok(())
}
