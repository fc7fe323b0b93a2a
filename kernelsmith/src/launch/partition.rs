//! Outputs cut into tiles, one a block: the host's side of [`Part`](crate::lang::part::Part).

use kernelsmith_runtime::{Buffer, Element};

use super::{Error, SliceMutArg, View, ViewMutArg};

/// What a `&mut Part<T, R>` parameter takes: a tensor and the extents of a block's tile.
pub struct PartArg<'a, T: Element, const R: usize> {
    pub(crate) view: ViewMutArg<'a, T, R>,
    pub(crate) tile: [usize; R],
}

/// Cuts a buffer into runs.
pub trait Partition<T: Element> {
    /// Runs of `tile` elements, one a block; the last may be shorter.
    fn partition(&mut self, tile: [usize; 1]) -> PartArg<'_, T, 1>;
}

impl<T: Element> Partition<T> for Buffer<T> {
    fn partition(&mut self, tile: [usize; 1]) -> PartArg<'_, T, 1> {
        let len = self.len();
        View::of_mut(SliceMutArg::from(self), [len]).partition(tile)
    }
}

impl<'a, T: Element, const R: usize> ViewMutArg<'a, T, R> {
    /// Tiles of these extents, one a block; those at the ends may be smaller. A tensor of more than
    /// one dimension has 1 as its last stride.
    pub fn partition(self, tile: [usize; R]) -> PartArg<'a, T, R> {
        PartArg { view: self, tile }
    }
}

impl<T: Element, const R: usize> PartArg<'_, T, R> {
    /// Tests what the map's proof rests on; the number of tiles along each axis.
    pub(crate) fn tiles(&self, name: &str) -> Result<[usize; R], Error> {
        let wrong = |value: String, rule: &str| Error::Argument {
            argument: name.to_owned(),
            value,
            rule: rule.to_owned(),
        };
        self.view.check(name)?;
        let (shape, strides) = self.view.layout();
        if !(1..=3).contains(&R) {
            return Err(wrong(format!("of {R} dimensions"), "blocks have 1 to 3 dimensions"));
        }
        if strides[R - 1] != 1 && shape[R - 1] > 1 {
            let found = format!("a tensor of strides {strides:?}");
            return Err(wrong(found, "a partitioned tensor's last stride is 1"));
        }
        // The greatest object's size: sums of extents and threads do not wrap.
        if self.tile.iter().any(|&n| n == 0 || n > isize::MAX as usize) {
            let found = format!("cut into tiles of {:?}", self.tile);
            return Err(wrong(found, "a tile's extents are from 1 to 2^63 - 1"));
        }
        let tiles: [usize; R] = std::array::from_fn(|axis| shape[axis].div_ceil(self.tile[axis]));
        // The grid's limit, and what 32 bits can number.
        let all = tiles.iter().try_fold(1usize, |all, &n| all.checked_mul(n));
        if all.is_none_or(|all| all > i32::MAX as usize) {
            let found = format!("cut into {tiles:?} tiles");
            return Err(wrong(found, "there are at most 2^31 - 1 tiles: take larger ones"));
        }
        Ok(tiles)
    }
}

/// What the partitioned arguments of a launch ask of its grid and block.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The argument that asks.
    pub(crate) argument: String,
    /// Blocks along x; there is one along y and z.
    pub(crate) blocks: usize,
    /// Axes of a block that may have more than one thread.
    pub(crate) axes: usize,
}

impl Asked {
    /// What two arguments ask together.
    pub(crate) fn and(self, other: Asked) -> Result<Asked, Error> {
        if self.blocks != other.blocks {
            return Err(Error::Argument {
                argument: other.argument,
                value: format!("cut into {} tiles", other.blocks),
                rule: format!(
                    "`{}` is cut into {}: partitioned outputs of one launch have as many",
                    self.argument, self.blocks
                ),
            });
        }
        Ok(Asked { axes: self.axes.min(other.axes), ..self })
    }

    /// The grid, which the launch may name, but not otherwise.
    pub(crate) fn grid(&self, named: Option<[usize; 3]>) -> Result<[usize; 3], Error> {
        let grid = [self.blocks, 1, 1];
        match named {
            Some(named) if named != grid => Err(Error::Argument {
                argument: "grid".to_owned(),
                value: format!("{named:?}"),
                rule: format!(
                    "it follows from the partition of `{}`, {grid:?}: leave it out",
                    self.argument
                ),
            }),
            _ => Ok(grid),
        }
    }

    /// Clusters are of the grid's blocks, of which there are as many as tiles: one more to fill a
    /// cluster would have no tile to own.
    pub(crate) fn check_cluster(&self, cluster: [u32; 3]) -> Result<(), Error> {
        let [x, y, z] = cluster;
        if y == 1 && z == 1 && x != 0 && self.blocks.is_multiple_of(x as usize) {
            return Ok(());
        }
        Err(Error::Argument {
            argument: self.argument.clone(),
            value: format!("cut into {} tiles", self.blocks),
            rule: format!(
                "blocks have one tile each and lie along x, so that there must be a multiple of the \
                 kernel's clusters, {cluster:?}"
            ),
        })
    }

    /// Threads along axes that the tensor does not have would own the same elements.
    pub(crate) fn check_block(&self, block: [u32; 3]) -> Result<(), Error> {
        if block[self.axes..].iter().all(|&threads| threads == 1) {
            return Ok(());
        }
        Err(Error::Argument {
            argument: "block".to_owned(),
            value: format!("{block:?}"),
            rule: format!(
                "`{}` has {} dimensions, and so have the blocks that it is partitioned among",
                self.argument, self.axes
            ),
        })
    }
}
