//! In which order tiles of C are computed.

use kernelsmith::prelude::*;

/// Rows of tiles that are taken together, column by column: blocks that run at the same time share
/// rows of A and columns of B in the L2 cache (DeepGEMM and CUTLASS call it a swizzle or grouped
/// raster).
pub(super) const GROUP: usize = 8;

/// The matrix, row and column of a tile's number, in tiles, of `down` rows and `across` columns of
/// each matrix of a batch, by `group` rows.
#[device]
pub(super) fn tile_at(
    tile: usize,
    down: usize,
    across: usize,
    group: usize,
) -> (usize, usize, usize) {
    let (batch, tile) = (tile / (down * across), tile % (down * across));
    let in_group = across * group;
    let first = tile / in_group * group;
    let rows = (down - first).min(group);
    let within = tile % in_group;
    (batch, first + within % rows, within / rows)
}

/// What of the depth, `depth` steps, is summed in part `part` of `parts`: its first step, and the one behind
/// its last.
#[device]
pub(super) fn part_of(depth: usize, part: usize, parts: usize) -> (usize, usize) {
    let each = depth.div_ceil(parts);
    let begin = (part * each).min(depth);
    (begin, (begin + each).min(depth))
}
