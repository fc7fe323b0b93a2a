//! The blocks of GGUF files as they lie in memory, and what they mean.
//!
//! The layouts are those of `ggml/src/ggml-common.h` of <https://github.com/ggml-org/llama.cpp> (the
//! structures `block_q4_0`, `block_q8_0`, `block_q4_K` and `block_q6_K`), the meaning of bits that of
//! `dequantize_row_*` in `ggml/src/ggml-quants.c`. Numbers are little-endian. Quantising is ours: simple
//! and without a search for the best scales, so files that llama.cpp writes are a little closer to their
//! originals.

mod simple;
mod supers;

pub use simple::{BlockQ4_0, BlockQ8_0};
pub use supers::{BlockQ4K, BlockQ6K};

use kernelsmith::f16;

use super::Format;

/// A block of weights that share a scale.
pub trait Block: Sized {
    /// The format of files made of such blocks.
    const FORMAT: Format;

    /// The block in its bytes, of which there are [`Format::block_bytes`].
    fn from_bytes(bytes: &[u8]) -> Self;

    /// Appends the block's bytes.
    fn append_to(&self, bytes: &mut Vec<u8>);

    /// The block nearest to some weights, of which there are [`Format::block_len`].
    fn quantize(weights: &[f32]) -> Self;

    /// The weights, exactly: products of the small numbers in a block fit `f64`.
    fn dequantize(&self, weights: &mut [f64]);
}

/// The bytes of rows of weights, in blocks.
pub(super) fn quantize<B: Block>(weights: &[f32]) -> Vec<u8> {
    let mut bytes =
        Vec::with_capacity(weights.len() / B::FORMAT.block_len() * B::FORMAT.block_bytes());
    for block in weights.chunks_exact(B::FORMAT.block_len()) {
        B::quantize(block).append_to(&mut bytes);
    }
    bytes
}

/// The weights of bytes that are whole blocks.
pub(super) fn dequantize<B: Block>(bytes: &[u8]) -> Vec<f64> {
    let (len, size) = (B::FORMAT.block_len(), B::FORMAT.block_bytes());
    let mut weights = vec![0.0; bytes.len() / size * len];
    for (weights, bytes) in weights.chunks_exact_mut(len).zip(bytes.chunks_exact(size)) {
        B::from_bytes(bytes).dequantize(weights);
    }
    weights
}

/// The bytes from `at` on as an array.
fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    std::array::from_fn(|i| bytes[at + i])
}

fn half_at(bytes: &[u8], at: usize) -> f16 {
    f16::from_le_bytes(array(bytes, at))
}

/// The number farthest from 0, with its sign; 0 of none.
fn farthest(weights: &[f32]) -> f32 {
    weights.iter().copied().fold(0.0, |far: f32, x| if x.abs() > far.abs() { x } else { far })
}

/// `1 / x`, or 0 where that is no number to multiply with.
fn inverse(x: f32) -> f32 {
    let inverse = 1.0 / x;
    if inverse.is_finite() { inverse } else { 0.0 }
}

/// The nearest integer between two.
fn nearest(x: f32, low: i32, high: i32) -> i32 {
    (x.round_ties_even() as i32).clamp(low, high)
}
