//! Functions of scores.

use kernelsmith::lang::Val;

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
