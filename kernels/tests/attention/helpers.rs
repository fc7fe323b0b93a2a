//! What the tests of attention have in common.

use kernelsmith::lang::Val;
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
        let close = (f64::from(found) - expected).abs() <= allowed || f64::from(found) == expected;
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

/// A bias by head and distance, much as ALiBi's.
pub(crate) fn by_distance(
    score: Val<f32>,
    head: Val<usize>,
    query: Val<usize>,
    key: Val<usize>,
) -> Val<f32> {
    let distance = (query.cast::<f32>() - key.cast::<f32>()).abs();
    score - (head + 1).cast::<f32>() * distance / 16.0
}

/// The same on the host.
pub(crate) fn by_distance_f64(score: f64, head: usize, query: usize, key: usize) -> f64 {
    score - (head + 1) as f64 * (query as f64 - key as f64).abs() / 16.0
}
