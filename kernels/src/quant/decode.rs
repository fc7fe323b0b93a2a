//! From packed bits to bytes and scales, 32 weights of each of a panel's rows at a time.

use kernelsmith::prelude::*;

use super::format::{Layout, PANEL, Packing};

/// 32 weights of a lane's row: each is `scale * byte - min`, or `scale * (byte - zero)` where the format
/// has one zero for all.
#[derive(Clone, Copy)]
pub(super) struct Chunk {
    pub(super) words: [Val<u32>; 8],
    /// The scales of both halves of the bytes, one if they have the same.
    pub(super) scales: [Val<f32>; 2],
    pub(super) min: Option<Val<f32>>,
}

/// What a panel has for one step along K.
#[derive(Clone, Copy)]
pub(super) struct Step {
    pub(super) layout: Layout,
    pub(super) words: Slice<u32>,
    pub(super) halves: Slice<f16>,
}

#[device]
impl Step {
    /// Chunk `c` of the step.
    pub(super) fn chunk(&self, #[comptime] c: usize) -> Chunk {
        match self.layout.packing {
            Packing::Q4_0 => {
                let d = self.half(0);
                Chunk { words: self.nibbles(0), scales: [d, d], min: None }
            }
            Packing::Q8_0 => {
                let d = self.half(0);
                let words = std::array::from_fn(|w| self.word(w));
                Chunk { words, scales: [d, d], min: None }
            }
            Packing::Q4K => self.q4k(c),
            Packing::Q6K => self.q6k(c),
            Packing::Int4 => {
                let (scale, zero) = (self.half(0), self.half(1));
                let min = Some(scale * zero);
                Chunk { words: self.nibbles(4 * c), scales: [scale, scale], min }
            }
        }
    }

    fn word(&self, #[comptime] i: usize) -> u32 {
        self.words[i * PANEL + thread_idx_x()]
    }

    fn half(&self, #[comptime] i: usize) -> f32 {
        self.halves[i * PANEL + thread_idx_x()].to_f32()
    }

    /// The low halves of four words' bytes and then the high ones.
    fn nibbles(&self, #[comptime] first: usize) -> [u32; 8] {
        std::array::from_fn(|w| (self.word(first + w % 4) >> (w / 4 * 4) as u32) & 0x0f0f_0f0f)
    }

    fn q4k(&self, #[comptime] c: usize) -> Chunk {
        let (low, middle, high) = (self.word(0), self.word(1), self.word(2));
        let (scales, mins) = if c < 4 {
            (low, middle)
        } else {
            let two = 0x3030_3030;
            let scales = (high & 0x0f0f_0f0f) | ((low >> 2) & two);
            (scales, ((high >> 4) & 0x0f0f_0f0f) | ((middle >> 2) & two))
        };
        let shift = (c % 4 * 8) as u32;
        let scale = self.half(0) * ((scales >> shift) & 63) as i32 as f32;
        let min = self.half(1) * ((mins >> shift) & 63) as i32 as f32;
        let first = 3 + c / 2 * 8;
        let shift = (c % 2 * 4) as u32;
        let words = std::array::from_fn(|w| (self.word(first + w) >> shift) & 0x0f0f_0f0f);
        Chunk { words, scales: [scale, scale], min: Some(min) }
    }

    fn q6k(&self, #[comptime] c: usize) -> Chunk {
        let (half, quarter) = (c / 4, c % 4);
        let (low, high) = (half * 16 + quarter % 2 * 8, 32 + half * 8);
        let shifts = ((quarter / 2 * 4) as u32, (quarter * 2) as u32);
        let words = std::array::from_fn(|w| {
            let four = (self.word(low + w) >> shifts.0) & 0x0f0f_0f0f;
            four | (((self.word(high + w) >> shifts.1) & 0x0303_0303) << 4)
        });
        let d = self.half(0);
        let scales = std::array::from_fn(|i| {
            let at = half * 8 + quarter * 2 + i;
            let byte = (self.word(48 + at / 4) << (24 - at % 4 * 8) as u32) as i32 >> 24;
            d * byte as f32
        });
        Chunk { words, scales, min: None }
    }
}
