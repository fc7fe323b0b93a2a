//! Tiles of Hopper's backward pass: pure functions.

use kernelsmith::Target;

use crate::attention::form::Form;
use crate::attention::hopper::config::{SHARED, is_hopper};
use crate::attention::shape::Attention;

/// Keys of a block: 64 for each of the two warpgroups that multiply.
pub const KEYS: usize = 128;

/// Those of a block with more than 128 columns, of which each warpgroup has half.
pub const WIDE_KEYS: usize = 64;

/// Stages of queries and, up to 128 columns, of gradients of outputs; more have one. The buffers of dS take
/// turns with them, or those of weights.
pub const STAGES: usize = 2;

/// Registers of a thread of the warps that copy and add, and of those that multiply: shares of 65536, in steps of
/// 8. With 24 the warp that adds spilled where sums have an order.
pub const FEW: usize = 40;
/// See [`FEW`].
pub const MANY: usize = 232;

/// What a kernel's types fix.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Tile {
    /// Columns of a head or more: what is more is zeros.
    pub columns: usize,
    /// Queries of a tile.
    pub queries: usize,
    /// Columns of dQ that a warpgroup computes: all, of 64 queries each, or half of them.
    pub own: usize,
    /// Keys of a block.
    pub keys: usize,
}

/// The tiles there are kernels for.
pub const TILES: [Tile; 5] = [
    Tile { columns: 64, queries: 64, own: 32, keys: KEYS },
    Tile { columns: 96, queries: 64, own: 48, keys: KEYS },
    Tile { columns: 128, queries: 64, own: 64, keys: KEYS },
    Tile { columns: 192, queries: 64, own: 96, keys: WIDE_KEYS },
    Tile { columns: 256, queries: 64, own: 128, keys: WIDE_KEYS },
];

/// Whether the products of dV begin before the gradients of scores are computed, with so many columns. Then weights
/// are there twice, as numbers and as the factor of products that run: with 128 columns some registers spilled.
pub const fn early(columns: usize) -> bool {
    columns <= 96
}

/// Parts in which a warpgroup hands its columns of dQ over, one after another: 64 times 256 numbers at once have no
/// room in shared memory.
pub const fn parts(own: usize) -> usize {
    if own > 96 { 2 } else { 1 }
}

impl Tile {
    /// Whether warpgroups have the same keys, and half of the columns each of all sums.
    pub const fn wide(self) -> bool {
        self.keys == WIDE_KEYS
    }

    /// Bytes of shared memory: keys and values, two stages of queries, of gradients of outputs and of dS, rows'
    /// numbers, dQ, and the barriers. Wide ones have one stage of gradients of outputs, two of weights, one dS,
    /// and a [part](parts) of dQ.
    pub const fn shared_bytes(self) -> usize {
        let Tile { columns, queries, own, keys } = self;
        let (outs, of_scores) = if self.wide() { (1, STAGES + 1) } else { (STAGES, STAGES) };
        let rows = 2 * keys + (STAGES + outs) * queries;
        let narrow = rows * columns + of_scores * keys * queries;
        let numbers = 2 * STAGES * queries + queries * columns / parts(own);
        2 * narrow + 4 * numbers + 16 * (2 + STAGES)
    }

    /// Registers of a thread that hold dK and dV, weights, their gradients, and, where its products have begun, the
    /// weights as a factor; of wide ones dK, dV and dQ.
    pub const fn registers(self) -> usize {
        if self.wide() {
            return self.own / 2 * 3;
        }
        let factor = if early(self.columns) { self.queries / 4 } else { 0 };
        self.columns + self.queries / 2 + self.queries / 2 + factor
    }

    /// Whether a block has the shared memory and the registers; 24 are for all else.
    pub const fn fits(self) -> bool {
        self.shared_bytes() <= SHARED && self.registers() + 24 <= MANY
    }
}

/// The tile for heads of so many columns.
pub fn tile(dimension: usize) -> Option<Tile> {
    TILES.into_iter().find(|tile| tile.columns >= dimension)
}

/// The tile by which Hopper's kernel takes a backward pass of bf16 or f16 throughout. Biases of scores, more than
/// 256 columns and scales that turn the order of scores around are the general kernel's. Where values have other
/// columns than keys, the fewer are filled up with zeros.
pub fn choose(target: &Target, a: &Attention, form: Form) -> Option<Tile> {
    let some = [a.batch, a.heads, a.queries, a.keys].iter().all(|&n| n > 0);
    // Tiles, the sums' turns and their rows of 32 columns are counted in 32 bits.
    let rows = (a.batch * a.heads).saturating_mul(a.queries.max(a.keys).saturating_add(KEYS));
    let counted = rows < 1 << 29;
    if !is_hopper(target) || form.scored || !some || !counted || a.scale <= 0.0 {
        return None;
    }
    tile(a.dimension.max(a.value_dimension))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tile_fits_hopper() {
        for tile in TILES {
            assert!(tile.fits(), "{tile:?}: {} bytes", tile.shared_bytes());
            let rows_each = if tile.own == tile.columns { 64 } else { tile.queries };
            assert_eq!(2 * tile.own * rows_each, tile.columns * tile.queries, "{tile:?}");
        }
    }

    #[test]
    fn hopper_takes_what_it_has_tiles_for() {
        let hopper = Target::sm(90, true);
        let plain = Form { causal: false, windowed: false, capped: false, scored: false };
        let columns = |d| choose(&hopper, &Attention::new(9, 9, d), plain).map(|tile| tile.columns);
        assert_eq!([32, 64, 72, 96].map(columns), [64, 64, 96, 96].map(Some));
        assert_eq!([104, 128].map(columns), [128, 128].map(Some));
        assert_eq!([136, 192, 200, 256].map(columns), [192, 192, 256, 256].map(Some));
        assert_eq!(columns(264), None);
        let a = Attention::new(9, 9, 64);
        assert_eq!(choose(&Target::sm(80, false), &a, plain), None);
        assert_eq!(choose(&hopper, &a, Form { scored: true, ..plain }), None);
        assert_eq!(choose(&hopper, &a.scale(-1.0), plain), None);
        let values = |a: Attention, d| choose(&hopper, &a.value_dimension(d), plain);
        assert_eq!(values(Attention::new(9, 9, 192), 128).map(|tile| tile.columns), Some(192));
        assert_eq!(values(a, 96).map(|tile| tile.columns), Some(96));
        assert_eq!(values(a, 264), None);
        assert_eq!(choose(&hopper, &Attention::new(0, 9, 64), plain), None);
        assert_eq!(choose(&hopper, &Attention::new(1 << 20, 9, 64).heads(1 << 12), plain), None);
    }
}
