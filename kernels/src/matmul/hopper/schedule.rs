//! In which order tiles of C are computed.

use kernelsmith::prelude::*;

/// Rows of tiles that are taken together, column by column: blocks that run at the same time share
/// rows of A and columns of B in the L2 cache (DeepGEMM and CUTLASS call it a swizzle or grouped
/// raster).
const GROUP: usize = 8;

/// The matrix, row and column of a tile's number, in tiles, of `down` rows and `across` columns of
/// each matrix of a batch.
#[device]
pub(super) fn tile_at(tile: usize, down: usize, across: usize) -> (usize, usize, usize) {
    let (batch, tile) = (tile / (down * across), tile % (down * across));
    let in_group = across * GROUP;
    let first = tile / in_group * GROUP;
    let rows = (down - first).min(GROUP);
    let within = tile % in_group;
    (batch, first + within % rows, within / rows)
}
