//! The sums of dQ in f32, as threads hold them: of each warpgroup's part of a tile, four numbers of each of its 128
//! threads are next to each other, then the next four. So a thread stores 16 bytes at a time, all at constants from
//! one address, where rows and columns would need an address for each few; and rows behind the last query are sums
//! like others. The last kernel puts them in order.

use kernelsmith::prelude::*;

/// Numbers of a row of the sums as the copy engine adds them, 128 bytes.
pub(super) const WIDE: usize = 32;

/// Rows of a warpgroup's part of a tile, of `DQ` columns of 64 queries.
pub(super) const fn rows(columns: usize) -> usize {
    64 * columns / WIDE
}

/// Stores one of `parts` of a warpgroup's part of dQ in a tile of so many times fewer than [`rows`] times [`WIDE`].
pub(super) fn store<T: Float, const DQ: usize>(
    to: Tile<f32>,
    sums: Fragment<Wgmma<T, DQ>, Accumulator>,
    part: usize,
    parts: usize,
) where
    Wgmma<T, DQ>: WgmmaAtom<Sum = f32>,
{
    let thread = thread_idx_x() % 128usize;
    let (row, column) = (thread / 8usize, thread % 8usize * 4usize);
    let vectors = DQ / 8 / parts;
    for vector in 0..vectors {
        let first = 4 * (part * vectors + vector);
        let four: [Val<f32>; 4] = std::array::from_fn(|e| sums.element(first + e));
        to.part(vector, vectors).store_vector(row, column, four);
    }
}

/// Pairs that a block of [`ordered_sums`] takes at a time.
const PAIRS: usize = 256;

/// `y = scale * sums`, rounded once and in order: `y: lines x m x d`, and of each line's tiles of `M` queries the
/// sums of both warpgroups, each `DQ` columns of 64 queries as [`attention_gradients`](super::attention_gradients)
/// leaves them. Block `line * tiles + tile` takes a tile.
#[kernel(
    block = PAIRS,
    requires = (
        tiles >= 1, m >= 1, y.len() == lines * m * d, sums.len() == lines * tiles * M * D,
    ),
)]
pub fn ordered_sums<T: Float, const D: usize, const M: usize, const DQ: usize>(
    lines: usize,
    m: usize,
    d: usize,
    tiles: usize,
    scale: f32,
    sums: &[f32],
    y: &mut [T],
) {
    let (line, tile) = (block_idx_x() / tiles, block_idx_x() % tiles);
    for at in (2 * thread_idx_x()..M * D).step_by(2 * PAIRS) {
        let (row, column) = (at / D, at % D);
        let query = tile * M + row;
        if query < m && column < d {
            let own = row / 64 + column / DQ;
            // Of the fragment that `wgmma` leaves (PTX ISA, "Register Fragments": D): which thread has the pair
            // and the one 8 rows below, and among how many of these.
            let (own_row, own_column) = (row % 64, column % DQ);
            let thread = own_row / 16 * 32 + own_row % 8 * 4 + own_column % 8 / 2;
            let vector = (block_idx_x() * 2 + own) * (DQ / 8) + own_column / 8;
            let from = (vector * 128 + thread) * 4 + own_row / 8 % 2 * 2;
            let pair: [f32; 2] = sums.load_vector(from);
            let to = (line * m + query) * d + column;
            y.store_vector(to, [(scale * pair[0]).cast::<T>(), (scale * pair[1]).cast::<T>()]);
        }
    }
}
