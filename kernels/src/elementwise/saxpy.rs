use kernelsmith::prelude::*;

use crate::error::{Error, check_len};

/// `y = a * x + y`, one thread an element.
#[kernel(requires = x.len() >= y.len())]
pub fn saxpy_kernel<T: Float>(a: T, x: &[T], y: &mut [T]) {
    let i = global_idx_x();
    if i < y.len() {
        y[i] = a.mul_add(x[i], y[i]);
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
    let n = y.len();
    saxpy_kernel::<T>(a, x, y).threads(n, 256).launch(&device)?;
    Ok(())
}
