//! Blocks of 32 weights with one scale.

use kernelsmith::f16;

use super::{Block, array, farthest, half_at, inverse, nearest};
use crate::quant::Format;

/// 32 weights of 4 bits: `d * (q - 8)`. Byte `i` has weight `i` in its low half and `i + 16` in its
/// high half.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BlockQ4_0 {
    /// The scale.
    pub d: f16,
    /// The weights.
    pub qs: [u8; 16],
}

impl Block for BlockQ4_0 {
    const FORMAT: Format = Format::Q4_0;

    fn from_bytes(bytes: &[u8]) -> Self {
        BlockQ4_0 { d: half_at(bytes, 0), qs: array(bytes, 2) }
    }

    fn append_to(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.d.to_le_bytes());
        bytes.extend(self.qs);
    }

    fn quantize(weights: &[f32]) -> Self {
        // The farthest weight becomes -8, which has no positive counterpart.
        let d = f16::from_f32(farthest(weights) / -8.0);
        let inverse = inverse(d.to_f32());
        let code = |i: usize| (nearest(weights[i] * inverse, -8, 7) + 8) as u8;
        BlockQ4_0 { d, qs: std::array::from_fn(|i| code(i) | code(i + 16) << 4) }
    }

    fn dequantize(&self, weights: &mut [f64]) {
        for (i, &byte) in self.qs.iter().enumerate() {
            weights[i] = self.d.to_f64() * (f64::from(byte & 15) - 8.0);
            weights[i + 16] = self.d.to_f64() * (f64::from(byte >> 4) - 8.0);
        }
    }
}

/// 32 weights of 8 bits: `d * q`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BlockQ8_0 {
    /// The scale.
    pub d: f16,
    /// The weights.
    pub qs: [i8; 32],
}

impl Block for BlockQ8_0 {
    const FORMAT: Format = Format::Q8_0;

    fn from_bytes(bytes: &[u8]) -> Self {
        BlockQ8_0 { d: half_at(bytes, 0), qs: array(bytes, 2).map(|x: u8| x as i8) }
    }

    fn append_to(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.d.to_le_bytes());
        bytes.extend(self.qs.map(|x| x as u8));
    }

    fn quantize(weights: &[f32]) -> Self {
        let d = f16::from_f32(farthest(weights).abs() / 127.0);
        let inverse = inverse(d.to_f32());
        let code = |i: usize| nearest(weights[i] * inverse, -127, 127) as i8;
        BlockQ8_0 { d, qs: std::array::from_fn(code) }
    }

    fn dequantize(&self, weights: &mut [f64]) {
        for (weight, &q) in weights.iter_mut().zip(&self.qs) {
            *weight = self.d.to_f64() * f64::from(q);
        }
    }
}
