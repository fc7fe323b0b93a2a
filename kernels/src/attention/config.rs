//! Head dimensions, and how much of an attention a block of a GPU takes at a time.

/// Head dimensions there are kernels for: the multiples of 8 from 32 to 256. Sums are kept for 8 columns at
/// a time.
pub const HEAD_DIMENSIONS: [usize; 29] = {
    let mut all = [0; 29];
    let mut i = 0;
    while i < all.len() {
        all[i] = 32 + 8 * i;
        i += 1;
    }
    all
};

/// What a block of a GPU has in shared memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Tile {
    /// Queries, which are also its threads.
    pub queries: usize,
    /// Keys.
    pub keys: usize,
}

impl Tile {
    /// For heads of this dimension.
    pub const fn of(dimension: usize) -> Tile {
        let (queries, keys) = match dimension {
            0..=32 => (64, 32),
            33..=88 => (32, 32),
            89..=144 => (32, 8),
            145..=168 => (32, 4),
            _ => (16, 4),
        };
        Tile { queries, keys }
    }

    /// Bytes of shared memory: queries, outputs, scores, keys and values in f32.
    pub const fn shared_bytes(self, dimension: usize) -> usize {
        let Tile { queries, keys } = self;
        4 * (2 * dimension * queries + keys * queries + 2 * keys * dimension)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimensions_are_from_32_to_256() {
        assert_eq!((HEAD_DIMENSIONS[0], HEAD_DIMENSIONS[28]), (32, 256));
    }

    #[test]
    fn tiles_of_every_dimension_fit_every_gpu() {
        for dimension in HEAD_DIMENSIONS {
            let tile = Tile::of(dimension);
            // What a block has on every GPU without asking for more.
            assert!(tile.shared_bytes(dimension) <= 48 << 10, "{dimension}: {tile:?}");
        }
    }
}
