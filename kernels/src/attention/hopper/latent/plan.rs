//! Sizes of tiles, and how heads share them: pure functions.

use super::super::config::{SHARED, STAGES, Tile};

/// Columns of queries and keys.
pub const COLUMNS: usize = 576;

/// Columns of values: the first ones of the keys.
pub const VALUES: usize = 512;

/// Columns of values that a warpgroup has the sums of.
pub const HALF: usize = VALUES / 2;

/// Keys of a tile.
pub const KEYS: usize = 64;

/// Rows of a block, each a query of a head.
pub const ROWS: usize = 64;

/// As other attentions' tiles are described.
pub const TILE: Tile = Tile { columns: COLUMNS, values: VALUES, keys: KEYS };

/// Registers of a thread that copies and of one that multiplies: 65536 among 384 threads.
pub const SHARES: (usize, usize) = (32, 240);

/// Bytes of shared memory of a block: queries, the stages of keys, what weights are taken against and their
/// sums of both warpgroups, the barriers, and what tells whether a block comes last.
pub const fn shared_bytes(element: usize) -> usize {
    let numbers = ROWS * COLUMNS + STAGES * KEYS * COLUMNS;
    numbers * element + 4 * 2 * (2 * ROWS) + 16 * (1 + STAGES) + 16
}

/// Registers of a thread that hold sums, scores and weights.
pub const fn registers() -> usize {
    HALF / 2 + KEYS / 2 + KEYS / 4
}

/// Heads whose rows a block takes together: the largest divisor of all of them that rows have room for.
pub fn packed(heads: usize) -> usize {
    (1..=ROWS.min(heads)).rev().find(|n| heads.is_multiple_of(*n)).unwrap_or(1)
}

const _: () = assert!(shared_bytes(2) <= SHARED && registers() + 24 <= SHARES.1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_are_no_more_than_there_are() {
        assert!(128 * (SHARES.0 + 2 * SHARES.1) <= 65536);
        assert_eq!(registers(), 176);
    }

    #[test]
    fn heads_fill_blocks() {
        assert_eq!([128, 64, 16, 1].map(packed), [64, 64, 16, 1]);
        // Not 64, which would be of two thirds and of one.
        assert_eq!([96, 40, 127].map(packed), [48, 40, 1]);
    }
}
