//! Tile sizes and how the keys are divided among blocks.

use kernelsmith::Target;

use super::products::ROWS;

/// The tiles of a block.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Tiling {
    /// Columns of queries and keys: a multiple of 8.
    pub dimension: usize,
    /// Columns of values, as many or not.
    pub values: usize,
    /// Keys of a tile: a multiple of the block's threads.
    pub keys: usize,
    /// Queries of a tile: a multiple of 12.
    pub queries: usize,
}

/// Between rows of a tile of scores, so that rows a power of two apart do not share a few sets of a cache.
pub(super) const PAD: usize = 16;

impl Tiling {
    /// The threads of a block, which have a key of a tile each, and its tiles.
    ///
    /// On the CPU K, V and their gradients for a tile of keys take `8 * keys * (dimension + values)` bytes, at most half
    /// a MiB: they stay in a second-level cache. On a GPU 32 KiB of shared memory.
    pub fn new(target: &Target, dimension: usize, values: usize) -> (usize, Tiling) {
        let mean = (dimension + values) / 2;
        match target {
            Target::Cpu => {
                let keys = if mean <= 128 { 128 } else { 64 };
                (32, Tiling { dimension, values, keys, queries: 8 * ROWS })
            }
            _ => {
                let threads = match mean {
                    0..=64 => 32,
                    65..=128 => 16,
                    _ => 8,
                };
                (threads, Tiling { dimension, values, keys: threads, queries: 2 * ROWS })
            }
        }
    }
}

/// How the keys of each head are divided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Division {
    /// Blocks for a head of keys.
    pub(super) splits: usize,
    /// Keys of each of them, in multiples of a block's threads.
    pub(super) strips: usize,
}

impl Division {
    /// For `keys` keys of each of `heads` heads and blocks of `threads` threads: no more than it takes for
    /// `wanted` blocks, since each split has a partial dQ of its own.
    pub(super) fn new(keys: usize, heads: usize, threads: usize, wanted: usize) -> Division {
        let strips = keys.div_ceil(threads).max(1);
        let splits = wanted.div_ceil(heads.max(1)).clamp(1, strips);
        let each = strips.div_ceil(splits);
        Division { splits: strips.div_ceil(each), strips: each }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_keys_are_in_one_split() {
        for keys in 0..300 {
            for (heads, wanted) in [(0, 8), (1, 8), (3, 8), (8, 8), (100, 8)] {
                let Division { splits, strips } = Division::new(keys, heads, 32, wanted);
                assert!(splits >= 1 && strips >= 1);
                assert!(splits * strips * 32 >= keys, "{keys} {heads}");
                assert!((splits - 1) * strips * 32 < keys.max(1), "{keys} {heads}: an empty one");
                assert!(splits == 1 || heads < wanted);
            }
        }
    }
}
