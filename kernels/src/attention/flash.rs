//! Attention of dense buffers.

use kernelsmith::prelude::*;

use super::builder::FlashAttention;
use super::element::AttentionElement;
use super::form::ScoreMap;
use super::shape::Attention;
use crate::error::Error;
use crate::matmul::Output;

/// Attention `softmax(Q K^T * scale) V`; see [`Attention`] for shapes. A query that sees no key gives
/// zeros. For more, such as views, sinks, sequences of different lengths or pages of keys, there is
/// [`FlashAttention`].
///
/// # Errors
/// If the numbers of `attention` do not go together, a buffer has another length than they say, or the
/// buffers live on different devices.
pub fn flash_attention<T: AttentionElement, O: Output<f32>>(
    attention: Attention,
    q: &Buffer<T>,
    k: &Buffer<T>,
    v: &Buffer<T>,
    out: &mut Buffer<O>,
) -> Result<(), Error> {
    FlashAttention::new(attention).run(q, k, v, out)
}

/// [`flash_attention`] with scores that go through `score(score, head, query, key)`, see
/// [`FlashAttention::score`].
///
/// # Errors
/// As [`flash_attention`].
pub fn flash_attention_scored<T: AttentionElement, O: Output<f32>, S: ScoreMap>(
    attention: Attention,
    score: S,
    q: &Buffer<T>,
    k: &Buffer<T>,
    v: &Buffer<T>,
    out: &mut Buffer<O>,
) -> Result<(), Error> {
    FlashAttention::new(attention).score(score).run(q, k, v, out)
}
