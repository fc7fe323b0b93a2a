//! Blocks of 256 weights whose parts have scales of few bits.

use kernelsmith::f16;

use super::{Block, array, farthest, half_at, inverse, nearest};
use crate::quant::Format;

/// 256 weights of 4 bits, 8 parts of 32: `d * scale * q - dmin * min`, with a scale and a min of 6 bits
/// for each part.
///
/// Parts come in pairs of 32 bytes: the first is the low halves, the second the high ones.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BlockQ4K {
    /// The scale of scales.
    pub d: f16,
    /// The scale of mins.
    pub dmin: f16,
    /// Scales and mins, see [`scale_and_min`](BlockQ4K::scale_and_min).
    pub scales: [u8; 12],
    /// The weights.
    pub qs: [u8; 128],
}

impl BlockQ4K {
    /// The scale and the min of a part. Those of the first four are the low 6 bits of bytes 0 to 3 and
    /// 4 to 7, of which the high bits are the high bits of the others'; these have their low bits in the
    /// halves of bytes 8 to 11.
    pub fn scale_and_min(&self, part: usize) -> (u8, u8) {
        let s = &self.scales;
        match part {
            0..4 => (s[part] & 63, s[part + 4] & 63),
            _ => {
                let low = s[part + 4];
                (low & 15 | s[part - 4] >> 6 << 4, low >> 4 | s[part] >> 6 << 4)
            }
        }
    }

    /// Adds a part's scale and min to twelve bytes where they are still zeros.
    pub(in crate::quant) fn add_scale_and_min(s: &mut [u8], part: usize, (scale, min): (u8, u8)) {
        if part < 4 {
            s[part] |= scale;
            s[part + 4] |= min;
        } else {
            s[part + 4] = scale & 15 | min << 4;
            s[part - 4] |= scale >> 4 << 6;
            s[part] |= min >> 4 << 6;
        }
    }
}

impl Block for BlockQ4K {
    const FORMAT: Format = Format::Q4K;

    fn from_bytes(bytes: &[u8]) -> Self {
        BlockQ4K {
            d: half_at(bytes, 0),
            dmin: half_at(bytes, 2),
            scales: array(bytes, 4),
            qs: array(bytes, 16),
        }
    }

    fn append_to(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.d.to_le_bytes());
        bytes.extend(self.dmin.to_le_bytes());
        bytes.extend(self.scales);
        bytes.extend(self.qs);
    }

    fn quantize(weights: &[f32]) -> Self {
        let part = |i: usize| &weights[32 * i..32 * i + 32];
        // Mins are not negative: what is subtracted brings the least weight, or 0, to code 0.
        let mins: [f32; 8] = std::array::from_fn(|i| -part(i).iter().copied().fold(0.0, f32::min));
        let scales: [f32; 8] =
            std::array::from_fn(|i| (part(i).iter().copied().fold(0.0, f32::max) + mins[i]) / 15.0);
        let step = |x: &[f32; 8]| f16::from_f32(farthest(x) / 63.0);
        let (d, dmin) = (step(&scales), step(&mins));
        let code = |x: f32, d: f16| nearest(x * inverse(d.to_f32()), 0, 63) as u8;
        let parts: [(u8, u8); 8] =
            std::array::from_fn(|i| (code(scales[i], d), code(mins[i], dmin)));
        let mut qs = [0; 128];
        for (i, &(scale, min)) in parts.iter().enumerate() {
            let inverse = inverse(d.to_f32() * f32::from(scale));
            for (k, x) in part(i).iter().enumerate() {
                let q = nearest((x + dmin.to_f32() * f32::from(min)) * inverse, 0, 15) as u8;
                qs[i / 2 * 32 + k] |= q << (i % 2 * 4);
            }
        }
        let mut scales = [0; 12];
        for (i, part) in parts.into_iter().enumerate() {
            BlockQ4K::add_scale_and_min(&mut scales, i, part);
        }
        BlockQ4K { d, dmin, scales, qs }
    }

    fn dequantize(&self, weights: &mut [f64]) {
        for (i, part) in weights.chunks_exact_mut(32).enumerate() {
            let (scale, min) = self.scale_and_min(i);
            let scale = self.d.to_f64() * f64::from(scale);
            let min = self.dmin.to_f64() * f64::from(min);
            for (k, weight) in part.iter_mut().enumerate() {
                let q = self.qs[i / 2 * 32 + k] >> (i % 2 * 4) & 15;
                *weight = scale * f64::from(q) - min;
            }
        }
    }
}

/// 256 weights of 6 bits, 16 parts of 16: `d * scale * (q - 32)`.
///
/// Of each 128 weights, 64 bytes hold the low 4 bits: those of the first and third 32 are the halves of
/// the first 32 bytes, those of the second and fourth of the others. 32 bytes hold two more bits of each,
/// from the first to the last from the lowest up.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BlockQ6K {
    /// The low bits.
    pub ql: [u8; 128],
    /// The high bits.
    pub qh: [u8; 64],
    /// Scales of parts.
    pub scales: [i8; 16],
    /// The scale of scales.
    pub d: f16,
}

impl BlockQ6K {
    /// Where a weight's low and high bits are: byte and shift.
    fn place(i: usize) -> [(usize, usize); 2] {
        let (half, quarter, k) = (i / 128, i / 32 % 4, i % 32);
        let low = half * 64 + quarter % 2 * 32 + k;
        [(low, quarter / 2 * 4), (half * 32 + k, quarter * 2)]
    }
}

impl Block for BlockQ6K {
    const FORMAT: Format = Format::Q6K;

    fn from_bytes(bytes: &[u8]) -> Self {
        BlockQ6K {
            ql: array(bytes, 0),
            qh: array(bytes, 128),
            scales: array(bytes, 192).map(|x: u8| x as i8),
            d: half_at(bytes, 208),
        }
    }

    fn append_to(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.ql);
        bytes.extend(self.qh);
        bytes.extend(self.scales.map(|x| x as u8));
        bytes.extend(self.d.to_le_bytes());
    }

    fn quantize(weights: &[f32]) -> Self {
        let parts = weights.chunks_exact(16);
        // As in `BlockQ4_0`, of weights and of scales.
        let wanted: Vec<f32> = parts.map(|part| farthest(part) / -32.0).collect();
        let d = f16::from_f32(farthest(&wanted) / -128.0);
        let to_scale = inverse(d.to_f32());
        let scales: [i8; 16] =
            std::array::from_fn(|i| nearest(wanted[i] * to_scale, -128, 127) as i8);
        let (mut ql, mut qh) = ([0; 128], [0; 64]);
        for (i, x) in weights.iter().enumerate() {
            let inverse = inverse(d.to_f32() * f32::from(scales[i / 16]));
            let q = (nearest(x * inverse, -32, 31) + 32) as u8;
            let [(low, low_shift), (high, high_shift)] = BlockQ6K::place(i);
            ql[low] |= (q & 15) << low_shift;
            qh[high] |= (q >> 4) << high_shift;
        }
        BlockQ6K { ql, qh, scales, d }
    }

    fn dequantize(&self, weights: &mut [f64]) {
        for (i, weight) in weights.iter_mut().enumerate() {
            let [(low, low_shift), (high, high_shift)] = BlockQ6K::place(i);
            let q = self.ql[low] >> low_shift & 15 | (self.qh[high] >> high_shift & 3) << 4;
            let scale = self.d.to_f64() * f64::from(self.scales[i / 16]);
            *weight = scale * (f64::from(q) - 32.0);
        }
    }
}
