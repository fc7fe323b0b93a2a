//! In which order tiles of C are computed.

use kernelsmith::prelude::*;

use super::config::GROUP;
use super::cooperative::BM;

/// A block's way through tiles of `BM x width` of some matrices: number `first`, and every `apart`-th from there
/// on, below `all`. Blocks of a cluster have the same number, and take tiles one above the other.
///
/// Tiles have numbers of 32 bits (`Config::check` sees to it), of which a quotient is a fifth of one of 64 bits: all
/// who multiply wait for five of them before the first product of a tile.
#[derive(Clone, Copy)]
pub(crate) struct Walk {
    pub(crate) first: Val<u32>,
    pub(crate) apart: Val<u32>,
    pub(crate) all: Val<u32>,
    /// The block's in its cluster.
    pub(crate) rank: Val<usize>,
    down: Val<u32>,
    across: Val<u32>,
    width: usize,
    cluster: usize,
    group: Val<u32>,
}

impl Walk {
    /// Through `matrices` of `m x n`, as many rows of tiles together as is usual.
    #[track_caller]
    pub(crate) fn new(
        matrices: Val<usize>,
        [m, n]: [Val<usize>; 2],
        width: usize,
        cluster: usize,
    ) -> Walk {
        let down = m.div_ceil(BM * cluster).cast::<u32>();
        let across = n.div_ceil(width).cast::<u32>();
        Walk {
            first: block_idx_x().cast::<u32>() / cluster as u32,
            apart: grid_dim_x().cast::<u32>() / cluster as u32,
            all: matrices.cast::<u32>() * down * across,
            rank: if cluster > 1 { cluster_rank() } else { Val::zero() },
            down,
            across,
            width,
            cluster,
            group: Val::from((GROUP / cluster) as u32),
        }
    }

    /// With `group` rows of tiles together, or of clusters of them.
    pub(super) fn by(self, group: Val<usize>) -> Walk {
        Walk { group: group.cast(), ..self }
    }
}

#[device]
impl Walk {
    /// The matrix of a tile's number, and the first row and column of this block's tile.
    pub(crate) fn tile(&self, number: u32) -> (usize, usize, usize) {
        let (matrix, row, column) = tile_at(number, self.down, self.across, self.group);
        let row = (row as usize * self.cluster + self.rank) * BM;
        (matrix as usize, row, column as usize * self.width)
    }
}

/// The matrix, row and column of a tile's number, in tiles, of `down` rows and `across` columns of
/// each matrix of a batch, by `group` rows.
#[device]
fn tile_at(tile: u32, down: u32, across: u32, group: u32) -> (u32, u32, u32) {
    let (batch, tile) = quotient(tile, down * across);
    let (number, within) = quotient(tile, across * group);
    let first = number * group;
    let (column, row) = quotient(within, (down - first).min(group));
    (batch, first + row, column)
}

/// A quotient and what is left, at the price of one division.
#[device]
pub(super) fn quotient(number: u32, by: u32) -> (u32, u32) {
    let quotient = number / by;
    (quotient, number - quotient * by)
}

/// What of the depth, `depth` steps, is summed in part `part` of `parts`: its first step, and the one behind
/// its last.
#[device]
pub(crate) fn part_of(depth: usize, part: usize, parts: usize) -> (usize, usize) {
    let (depth, part) = (depth as u32, part as u32);
    let each = depth.div_ceil(parts as u32);
    let begin = (part * each).min(depth);
    (begin as usize, (begin + each).min(depth) as usize)
}

/// The matrix that a part's sums are of, and which of its parts it is: parts are matrices one behind the other.
#[device]
pub(super) fn whole_of(matrix: usize, parts: usize) -> (usize, usize) {
    let (batch, part) = quotient(matrix as u32, parts as u32);
    (batch as usize, part as usize)
}
