use kernelsmith::prelude::*;

use crate::error::{Error, check_len};

/// Threads of a block, and elements.
const BLOCK: usize = 256;

/// `y = a * x + y`, one thread an element.
#[kernel(block = BLOCK, requires = (x.len() >= y.shape(0), y.tile(0) == BLOCK))]
pub fn saxpy_kernel<T: Float>(a: T, x: &[T], y: &mut Part<T, 1>) {
    if y.owns([0]) {
        y[0] = a.mul_add(x[y.global(0, 0)], y[0]);
    }
}

/// `y = a * x + y`, rounded once (fused multiply-add).
///
/// # Errors
/// If `x` and `y` differ in length or live on different devices.
pub fn saxpy<T: Float>(a: T, x: &Buffer<T>, y: &mut Buffer<T>) -> Result<(), Error> {
    check_len("x", x.len(), "y.len()", Some(y.len()))?;
    if y.is_empty() {
        return Ok(());
    }
    let device = y.device().clone();
    saxpy_kernel::<T>(a, x, y.partition([BLOCK])).launch(&device)?;
    Ok(())
}
