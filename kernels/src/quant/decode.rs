//! From packed bits to bytes and scales.

use kernelsmith::prelude::*;

use super::format::{Layout, PANEL, Packing};

/// What a panel has for one step along K. A lane has one row of it, of which each weight is
/// `scale * byte - min`, or `scale * (byte - zero)` where the format has one zero for all.
///
/// Chunks that have words in common are to be asked for word by word, so that no word is kept for long.
#[derive(Clone, Copy)]
pub(super) struct Step {
    pub(super) layout: Layout,
    pub(super) words: Slice<u32>,
    pub(super) halves: Slice<f16>,
}

#[device]
impl Step {
    /// What halves of bytes have that have scales of their own.
    pub(super) fn part(&self, part: usize) -> Step {
        let len = self.layout.words / self.layout.scales() * PANEL;
        let Step { layout, words, halves } = *self;
        Step { layout, words: &words[part * len..(part + 1) * len], halves }
    }

    /// Four bytes of a part of chunk `c`, of which there are eight times as many in all parts.
    pub(super) fn bytes(&self, #[comptime] c: usize, #[comptime] i: usize) -> u32 {
        let nibbles = 0x0f0f_0f0f;
        match self.layout.packing {
            Packing::Q4_0 => (self.word(i % 4) >> (i / 4 * 4) as u32) & nibbles,
            Packing::Q8_0 => self.word(i),
            Packing::Q4K => (self.word(1 + i) >> (c * 4) as u32) & nibbles,
            Packing::Q6K => {
                let low = (self.word(3 * i + c % 2) >> (c / 2 * 4) as u32) & nibbles;
                low | (((self.word(3 * i + 2) >> (c * 2) as u32) & 0x0303_0303) << 4)
            }
            Packing::Int4 => (self.word(4 * c + i % 4) >> (i / 4 * 4) as u32) & nibbles,
        }
    }

    /// The scale of a part of chunk `c`.
    pub(super) fn scale(&self, #[comptime] c: usize) -> f32 {
        match self.layout.packing {
            Packing::Q4_0 | Packing::Q8_0 | Packing::Int4 => self.half(0),
            Packing::Q4K => self.half(0) * self.code(2 * c),
            Packing::Q6K => {
                let byte = (self.word(12) << (24 - c * 8) as u32) as i32 >> 24;
                self.half(0) * byte as f32
            }
        }
    }

    /// The min of chunk `c`, 0 if the format has none.
    pub(super) fn min(&self, #[comptime] c: usize) -> f32 {
        match self.layout.packing {
            Packing::Q4_0 | Packing::Q8_0 | Packing::Q6K => 0.0,
            Packing::Q4K => self.half(1) * self.code(2 * c + 1),
            Packing::Int4 => self.half(0) * self.half(1),
        }
    }

    /// Byte `i` of the first word.
    fn code(&self, #[comptime] i: usize) -> f32 {
        ((self.word(0) >> (8 * i) as u32) & 255) as i32 as f32
    }

    fn word(&self, #[comptime] i: usize) -> u32 {
        self.words[i * PANEL + thread_idx_x()]
    }

    fn half(&self, #[comptime] i: usize) -> f32 {
        self.halves[i * PANEL + thread_idx_x()].to_f32()
    }
}
