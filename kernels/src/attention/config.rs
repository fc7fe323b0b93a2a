//! Head dimensions, and how much of an attention a block of a GPU takes at a time.

/// Head dimensions there are kernels for: the multiples of 8 from 32 to 576, the keys of multi-head latent
/// attention. Sums are kept for 8 columns at a time.
pub const HEAD_DIMENSIONS: [usize; 69] = {
    let mut all = [0; 69];
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
    /// For keys and values of these dimensions.
    pub const fn of(dimension: usize, values: usize) -> Tile {
        let (queries, keys) = match (dimension + values) / 2 {
            0..=32 => (64, 32),
            33..=88 => (32, 32),
            89..=144 => (32, 8),
            145..=168 => (32, 4),
            169..=256 => (16, 4),
            _ => (8, 2),
        };
        Tile { queries, keys }
    }

    /// Bytes of shared memory: queries, outputs, scores, keys and values in f32.
    pub const fn shared_bytes(self, dimension: usize, values: usize) -> usize {
        let Tile { queries, keys } = self;
        4 * ((dimension + values) * (queries + keys) + keys * queries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimensions_are_from_32_to_576() {
        assert_eq!((HEAD_DIMENSIONS[0], HEAD_DIMENSIONS[68]), (32, 576));
    }

    #[test]
    fn tiles_of_every_dimension_fit_every_gpu() {
        for (d, dv) in HEAD_DIMENSIONS.iter().flat_map(|&d| HEAD_DIMENSIONS.map(|dv| (d, dv))) {
            let tile = Tile::of(d, dv);
            // What a block has on every GPU without asking for more.
            assert!(tile.shared_bytes(d, dv) <= 48 << 10, "{d} and {dv}: {tile:?}");
        }
    }
}
