use kernelsmith::prelude::*;

use crate::error::Error;

/// Threads of a block, and elements.
const BLOCK: usize = 256;

/// `y = x`, as f32.
#[kernel(block = BLOCK, requires = (x.len() >= y.shape(0), y.tile(0) == BLOCK))]
pub fn to_f32_kernel<T: Float>(x: &[T], y: &mut Part<f32, 1>) {
    if y.owns([0]) {
        y[0] = x[y.global(0, 0)].to_f32();
    }
}

/// A buffer of the same numbers as f32; f64 is rounded to nearest even.
///
/// # Errors
/// If there is no memory for it.
pub fn to_f32<T: Float>(x: &Buffer<T>) -> Result<Buffer<f32>, Error> {
    let device = x.device().clone();
    // SAFETY: the kernel writes every element.
    let y = unsafe { Buffer::uninit(&device, x.len()) };
    let mut y = y.map_err(kernelsmith::Error::from)?;
    if !x.is_empty() {
        to_f32_kernel(x, y.partition([BLOCK])).launch(&device)?;
    }
    Ok(y)
}
