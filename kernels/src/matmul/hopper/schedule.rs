//! In which order tiles of C are computed.

use kernelsmith::prelude::*;

use super::config::GROUP;
use super::cooperative::BM;

/// A block's way through tiles of `BM x width` of some matrices: number `first`, and every `apart`-th from there
/// on, below `all`. Blocks of a cluster have the same number, and take tiles one above the other.
#[derive(Clone, Copy)]
pub(crate) struct Walk {
    pub(crate) first: Val<usize>,
    pub(crate) apart: Val<usize>,
    pub(crate) all: Val<usize>,
    /// The block's in its cluster.
    pub(crate) rank: Val<usize>,
    down: Val<usize>,
    across: Val<usize>,
    width: usize,
    cluster: usize,
    group: Val<usize>,
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
        let (down, across) = (m.div_ceil(BM * cluster), n.div_ceil(width));
        Walk {
            first: block_idx_x() / cluster,
            apart: grid_dim_x() / cluster,
            all: matrices * down * across,
            rank: if cluster > 1 { cluster_rank() } else { Val::zero() },
            down,
            across,
            width,
            cluster,
            group: Val::from(GROUP / cluster),
        }
    }

    /// With `group` rows of tiles together, or of clusters of them.
    pub(super) fn by(self, group: Val<usize>) -> Walk {
        Walk { group, ..self }
    }
}

#[device]
impl Walk {
    /// The matrix of a tile's number, and the first row and column of this block's tile.
    pub(crate) fn tile(&self, number: usize) -> (usize, usize, usize) {
        let (matrix, row, column) = tile_at(number, self.down, self.across, self.group);
        (matrix, (row * self.cluster + self.rank) * BM, column * self.width)
    }
}

/// The matrix, row and column of a tile's number, in tiles, of `down` rows and `across` columns of
/// each matrix of a batch, by `group` rows.
#[device]
fn tile_at(tile: usize, down: usize, across: usize, group: usize) -> (usize, usize, usize) {
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
pub(crate) fn part_of(depth: usize, part: usize, parts: usize) -> (usize, usize) {
    let each = depth.div_ceil(parts);
    let begin = (part * each).min(depth);
    (begin, (begin + each).min(depth))
}
