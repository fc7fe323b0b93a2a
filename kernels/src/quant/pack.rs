//! From rows of blocks to panels of 32 rows, and back.

use kernelsmith::f16;

use super::format::{Format, PANEL};

/// Where a row's block lies in packed words or halves, of which it has `len`: the index of its first;
/// the others are `PANEL` apart.
pub(super) fn place(row: usize, block: usize, blocks: usize, len: usize) -> usize {
    ((row / PANEL * blocks + block) * len) * PANEL + row % PANEL
}

/// The words and halves of panels; rows beyond `n` are zeros, which have no scale.
pub(super) fn pack_gguf(format: Format, n: usize, k: usize, bytes: &[u8]) -> (Vec<u32>, Vec<f16>) {
    let (layout, blocks) = (format.layout(), k / format.block_len());
    let all = n.div_ceil(PANEL) * PANEL * blocks;
    let mut words = vec![0; all * layout.words];
    let mut halves = vec![f16::ZERO; all * layout.halves];
    for (i, block) in bytes.chunks_exact(format.block_bytes()).enumerate() {
        let (row, at) = (i / blocks, i % blocks);
        let first = place(row, at, blocks, layout.halves);
        for (j, &half) in format.halves().iter().enumerate() {
            let half = f16::from_le_bytes([block[half], block[half + 1]]);
            halves[first + j * PANEL] = half;
        }
        let first = place(row, at, blocks, layout.words);
        let from = &block[format.first_word()..];
        for j in 0..layout.words {
            let word = std::array::from_fn(|b| from[4 * j + b]);
            words[first + j * PANEL] = u32::from_le_bytes(word) ^ format.flip();
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
    let (layout, blocks) = (format.layout(), k / format.block_len());
    let mut bytes = vec![0; n * blocks * format.block_bytes()];
    for (i, block) in bytes.chunks_exact_mut(format.block_bytes()).enumerate() {
        let (row, at) = (i / blocks, i % blocks);
        let first = place(row, at, blocks, layout.halves);
        for (j, &half) in format.halves().iter().enumerate() {
            block[half..half + 2].copy_from_slice(&halves[first + j * PANEL].to_le_bytes());
        }
        let first = place(row, at, blocks, layout.words);
        for j in 0..layout.words {
            let word = (words[first + j * PANEL] ^ format.flip()).to_le_bytes();
            block[format.first_word() + 4 * j..][..4].copy_from_slice(&word);
        }
    }
    bytes
}
