//! Formats of quantised weights, and how they are laid out for the kernels.

use std::fmt;

use super::block::{self, BlockQ4_0, BlockQ4K, BlockQ6K, BlockQ8_0};

/// A format of GGUF files. Their names there are `Q4_0`, `Q8_0`, `Q4_K` and `Q6_K`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Format {
    /// 4 bits and a scale for 32 weights: 4.5 bits a weight.
    Q4_0,
    /// 8 bits and a scale for 32 weights: 8.5 bits a weight.
    Q8_0,
    /// 4 bits, and a scale and a min of 6 bits for 32 weights: 4.5 bits a weight.
    Q4K,
    /// 6 bits, and a scale of 8 bits for 16 weights: 6.5625 bits a weight.
    Q6K,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 4] = [Format::Q4_0, Format::Q8_0, Format::Q4K, Format::Q6K];

    /// Weights of a block.
    pub const fn block_len(self) -> usize {
        match self {
            Format::Q4_0 | Format::Q8_0 => 32,
            Format::Q4K | Format::Q6K => 256,
        }
    }

    /// Bytes of a block.
    pub const fn block_bytes(self) -> usize {
        match self {
            Format::Q4_0 => 18,
            Format::Q8_0 => 34,
            Format::Q4K => 144,
            Format::Q6K => 210,
        }
    }

    /// The bytes of weights, as many as are whole blocks; see [`block`](super::block).
    pub fn quantize(self, weights: &[f32]) -> Vec<u8> {
        match self {
            Format::Q4_0 => block::quantize::<BlockQ4_0>(weights),
            Format::Q8_0 => block::quantize::<BlockQ8_0>(weights),
            Format::Q4K => block::quantize::<BlockQ4K>(weights),
            Format::Q6K => block::quantize::<BlockQ6K>(weights),
        }
    }

    /// The weights of bytes, as many as are whole blocks, exactly.
    pub fn dequantize(self, bytes: &[u8]) -> Vec<f64> {
        match self {
            Format::Q4_0 => block::dequantize::<BlockQ4_0>(bytes),
            Format::Q8_0 => block::dequantize::<BlockQ8_0>(bytes),
            Format::Q4K => block::dequantize::<BlockQ4K>(bytes),
            Format::Q6K => block::dequantize::<BlockQ6K>(bytes),
        }
    }

    /// How weights of the format are packed.
    pub const fn layout(self) -> Layout {
        let (packing, chunks, words, halves, shared) = match self {
            Format::Q4_0 => (Packing::Q4_0, 1, 4, 1, 1),
            Format::Q8_0 => (Packing::Q8_0, 1, 8, 1, 1),
            Format::Q4K => (Packing::Q4K, 2, 9, 2, 4),
            Format::Q6K => (Packing::Q6K, 4, 26, 1, 2),
        };
        Layout { packing, chunks, words, halves, shared }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Q4_0 => "Q4_0",
            Format::Q8_0 => "Q8_0",
            Format::Q4K => "Q4_K",
            Format::Q6K => "Q6_K",
        })
    }
}

/// Weights that are multiplied at a time: as many activations share a scale.
pub(super) const CHUNK: usize = 32;

/// Rows of weights that are interleaved: the lanes of a warp.
pub(super) const PANEL: usize = 32;

/// What bits mean.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Packing {
    /// As in [`BlockQ4_0`].
    Q4_0,
    /// As in [`BlockQ8_0`], but 128 more, without a sign.
    Q8_0,
    /// A word of scale and min of two parts, then the 32 bytes of the parts as in [`BlockQ4K`].
    Q4K,
    /// Of 128 weights twice 12 words of bits and one of scales: for 16 weights of each quarter four words
    /// of low bits of the first and the third quarter, as many of the others, and high bits, in turns.
    Q6K,
    /// As in [`BlockQ4_0`], but `scale * (q - zero)`, of which both are halves.
    Int4,
}

/// How packed weights lie in memory: in panels of 32 rows. What a row has for one step along K, a
/// block of its format or a part of one, is `words` words and `halves` scales, in the order in which they
/// are used: memory is read from front to back. Of a panel's rows the first words lie next
/// to each other, then the second ones, and so on: what lanes read at a time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Layout {
    /// What bits mean.
    pub packing: Packing,
    /// Chunks of 32 weights of a step.
    pub chunks: usize,
    /// Words of a step.
    pub words: usize,
    /// Scales of a step.
    pub halves: usize,
    /// Steps that have the same scales.
    pub shared: usize,
}

impl Layout {
    /// Weights with a scale and a zero for `group` of them, a multiple of 32.
    pub(super) const fn int4(group: usize) -> Layout {
        let all = group / CHUNK;
        // As many chunks a step as divide a stage, and do not make the kernel's code too long.
        let two = all.trailing_zeros();
        let chunks = 1 << (if two < 3 { two } else { 3 });
        let words = chunks * CHUNK / 8;
        Layout { packing: Packing::Int4, chunks, words, halves: 2, shared: all / chunks }
    }

    /// Weights of a step.
    pub(super) const fn step_len(self) -> usize {
        self.chunks * CHUNK
    }

    /// What all weights' bytes are more than the weights are, where that is one number.
    pub(super) const fn zero(self) -> i32 {
        match self.packing {
            Packing::Q4_0 => 8,
            Packing::Q8_0 => 128,
            Packing::Q6K => 32,
            Packing::Q4K | Packing::Int4 => 0,
        }
    }

    /// Whether something is subtracted that is no multiple of the scale known when kernels are compiled.
    pub(super) const fn has_mins(self) -> bool {
        matches!(self.packing, Packing::Q4K | Packing::Int4)
    }

    /// Chunks that words have in common: they are best decoded word by word.
    pub(super) const fn group(self) -> usize {
        match self.packing {
            Packing::Q4_0 | Packing::Q8_0 | Packing::Int4 => 1,
            Packing::Q4K => 2,
            Packing::Q6K => 4,
        }
    }

    /// Scales of a chunk: one, or one for each 16 weights.
    pub(super) const fn scales(self) -> usize {
        if matches!(self.packing, Packing::Q6K) { 2 } else { 1 }
    }
}
