//! From rows of blocks to panels of 32 rows, and back.

use kernelsmith::f16;

use super::block::{Block, BlockQ4K};
use super::format::{Format, PANEL};

/// Where a row's step lies in packed words or halves, of which it has `len`: the index of its first; the
/// others are `PANEL` apart.
pub(super) fn place(row: usize, step: usize, steps: usize, len: usize) -> usize {
    ((row / PANEL * steps + step) * len) * PANEL + row % PANEL
}

/// What is done with a word or half: the index among those of a block, and that among all.
struct Places {
    format: Format,
    blocks: usize,
}

impl Places {
    fn words(&self, row: usize, block: usize) -> impl Iterator<Item = usize> + use<> {
        let (layout, blocks) = (self.format.layout(), self.blocks);
        (0..layout.shared * layout.words).map(move |i| {
            let step = block * layout.shared + i / layout.words;
            place(row, step, blocks * layout.shared, layout.words) + i % layout.words * PANEL
        })
    }

    fn halves(&self, row: usize, block: usize) -> impl Iterator<Item = usize> + use<> {
        let first = place(row, block, self.blocks, self.format.layout().halves);
        (0..self.format.layout().halves).map(move |i| first + i * PANEL)
    }
}

/// The words and halves of panels; rows beyond `n` are zeros, which have no scale.
pub(super) fn pack_gguf(format: Format, n: usize, k: usize, bytes: &[u8]) -> (Vec<u32>, Vec<f16>) {
    let (layout, blocks) = (format.layout(), k / format.block_len());
    let all = n.div_ceil(PANEL) * PANEL * blocks;
    let mut words = vec![0; all * layout.shared * layout.words];
    let mut halves = vec![f16::ZERO; all * layout.halves];
    let places = Places { format, blocks };
    for (i, block) in bytes.chunks_exact(format.block_bytes()).enumerate() {
        let (row, at) = (i / blocks, i % blocks);
        for (j, to) in places.halves(row, at).enumerate() {
            let from = half_at(format, j);
            halves[to] = f16::from_le_bytes([block[from], block[from + 1]]);
        }
        for (j, to) in places.words(row, at).enumerate() {
            words[to] = word(format, block, j);
        }
    }
    (words, halves)
}

/// What [`pack_gguf`] packed.
pub(super) fn unpack_gguf(
    format: Format,
    n: usize,
    k: usize,
    words: &[u32],
    halves: &[f16],
) -> Vec<u8> {
    let blocks = k / format.block_len();
    let mut bytes = vec![0; n * blocks * format.block_bytes()];
    let places = Places { format, blocks };
    for (i, block) in bytes.chunks_exact_mut(format.block_bytes()).enumerate() {
        let (row, at) = (i / blocks, i % blocks);
        for (j, from) in places.halves(row, at).enumerate() {
            block[half_at(format, j)..][..2].copy_from_slice(&halves[from].to_le_bytes());
        }
        for (j, from) in places.words(row, at).enumerate() {
            set_word(format, block, j, words[from]);
        }
    }
    bytes
}

/// Where in a block half `j` is.
const fn half_at(format: Format, j: usize) -> usize {
    match format {
        Format::Q6K => 208,
        _ => 2 * j,
    }
}

/// Where in a block word `j` is, and what its bits are flipped by; none if it is made up of bytes that
/// are not together.
///
/// Weights with signs become weights that are 128 more, without.
const fn word_at(format: Format, j: usize) -> Option<(usize, u32)> {
    let at = match format {
        Format::Q4_0 => 2 + 4 * j,
        Format::Q8_0 => return Some((2 + 4 * j, 0x8080_8080)),
        Format::Q4K if j.is_multiple_of(9) => return None,
        Format::Q4K => 16 + j / 9 * 32 + (j % 9 - 1) * 4,
        Format::Q6K if j % 13 == 12 => return None,
        Format::Q6K => {
            let (half, i) = (j / 26, j % 26 - j % 26 / 13);
            match (i / 3, i % 3) {
                (word, 2) => 128 + half * 32 + word * 4,
                (word, kind) => half * 64 + kind * 32 + word * 4,
            }
        }
    };
    Some((at, 0))
}

/// Where the scales of Q6_K are that word `j` is of: of the first 16 weights of each quarter of 128, or
/// of the second.
fn q6k_scales(j: usize) -> [usize; 4] {
    std::array::from_fn(|quarter| 192 + j / 26 * 8 + quarter * 2 + j % 26 / 13)
}

/// Word `j` of a block.
fn word(format: Format, block: &[u8], j: usize) -> u32 {
    if let Some((at, flip)) = word_at(format, j) {
        return u32::from_le_bytes(std::array::from_fn(|b| block[at + b])) ^ flip;
    }
    u32::from_le_bytes(match format {
        Format::Q4K => {
            let block = BlockQ4K::from_bytes(block);
            let [(a, b), (c, d)] = [0, 1].map(|i| block.scale_and_min(j / 9 * 2 + i));
            [a, b, c, d]
        }
        _ => q6k_scales(j).map(|at| block[at]),
    })
}

/// Writes word `j` of a block of which the scales of Q4_K were zeros.
fn set_word(format: Format, block: &mut [u8], j: usize, word: u32) {
    if let Some((at, flip)) = word_at(format, j) {
        block[at..at + 4].copy_from_slice(&(word ^ flip).to_le_bytes());
        return;
    }
    let bytes = word.to_le_bytes();
    if format == Format::Q4K {
        for (i, pair) in bytes.chunks_exact(2).enumerate() {
            BlockQ4K::add_scale_and_min(&mut block[4..16], j / 9 * 2 + i, (pair[0], pair[1]));
        }
    } else {
        for (at, byte) in q6k_scales(j).into_iter().zip(bytes) {
            block[at] = byte;
        }
    }
}
