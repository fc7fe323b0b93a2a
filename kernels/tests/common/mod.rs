//! What tests on the CPU have in common: random numbers, buffers of them, comparisons.

use kernelsmith::prelude::Stored;
use kernelsmith::{Buffer, Device};
use proptest::prelude::*;

pub(crate) fn device() -> Device {
    Device::cpu()
}

pub(crate) fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| x.into()).collect()
}

pub(crate) fn buffer<T: Stored>(values: &[T]) -> Buffer<T> {
    Buffer::from_slice(&device(), values).unwrap()
}

/// Poisoned, so that an element nobody writes shows.
pub(crate) fn poisoned(len: usize) -> Buffer<f32> {
    buffer(&vec![f32::NAN; len])
}

pub(crate) fn assert_close(
    found: &[f32],
    expected: &[f64],
    allowed: f64,
) -> Result<(), TestCaseError> {
    prop_assert_eq!(found.len(), expected.len());
    for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let close = (f64::from(found) - expected).abs() <= allowed
            || (found.is_nan() && expected.is_nan())
            || f64::from(found) == expected;
        prop_assert!(close, "element {}: {} against {}", i, found, expected);
    }
    Ok(())
}

/// Values in `[-scale, scale]`.
pub(crate) fn values(len: usize, scale: f32, seed: u64) -> Vec<f32> {
    let mut state = seed | 1;
    (0..len)
        .map(|_| {
            // xorshift64 (Marsaglia, "Xorshift RNGs", 2003).
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            ((state >> 40) as f32 / (1u64 << 23) as f32 - 1.0) * scale
        })
        .collect()
}
