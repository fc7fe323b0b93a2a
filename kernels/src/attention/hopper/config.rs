//! How much of an attention a block of Hopper takes, and in which way: pure functions.

use kernelsmith::Target;
use kernelsmith::prelude::Swizzle;

/// Bytes of shared memory that a block of Hopper has.
pub const SHARED: usize = 227 << 10;

/// Stages that keys and values have each.
pub const STAGES: usize = 2;

/// What a kernel's types fix: columns and keys of its tiles.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Tile {
    /// Columns of queries and keys, those of a head or more: what is more is zeros.
    pub columns: usize,
    /// Columns of values.
    pub values: usize,
    /// Keys of a tile.
    pub keys: usize,
}

/// The tiles there are kernels for: as many keys as registers and shared memory hold (FlashAttention,
/// hopper/tile_size.h, has the same or nearly so).
pub const TILES: [Tile; 7] = [
    Tile { columns: 64, values: 64, keys: 128 },
    Tile { columns: 96, values: 96, keys: 128 },
    Tile { columns: 128, values: 128, keys: 128 },
    Tile { columns: 128, values: 128, keys: 176 },
    Tile { columns: 192, values: 128, keys: 128 },
    Tile { columns: 192, values: 192, keys: 96 },
    Tile { columns: 256, values: 256, keys: 80 },
];

/// Those of 8-bit floats.
pub const TILES_OF_BYTES: [Tile; 5] = [
    Tile { columns: 64, values: 64, keys: 128 },
    Tile { columns: 128, values: 128, keys: 128 },
    Tile { columns: 192, values: 128, keys: 128 },
    Tile { columns: 192, values: 192, keys: 96 },
    Tile { columns: 256, values: 256, keys: 64 },
];

/// What of a kernel is fixed besides its types and its form.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Plan {
    /// Warpgroups that multiply, 64 rows each: 1 or 2.
    pub warpgroups: usize,
    /// Heads of queries with the same keys whose rows a tile takes together: a power of 2 up to 64.
    pub pack: usize,
    /// Columns of outputs.
    pub columns: usize,
    /// Whether behind a sequence's last key there may be anything.
    pub ragged: bool,
    /// Whether warpgroups take turns at the tensor cores: one's exponentials under the other's products
    /// (FlashAttention-3, section 3.1).
    pub turns: bool,
    /// Whether outputs are multiplied only where the greatest score of a row has grown by more than 2^8
    /// since they last were (FlashAttention-4).
    pub lazy: bool,
    /// Of eight exponentials, how many are polynomials on the FMA units.
    pub polynomials: usize,
    /// With keys in pages: those that a copy brings ([`per_copy`]). Else it brings a tile's.
    pub per_copy: Option<usize>,
}

impl Plan {
    /// Rows of a block.
    pub const fn rows(self) -> usize {
        64 * self.warpgroups
    }

    /// Queries of a block, of each head.
    pub const fn queries(self) -> usize {
        self.rows() / self.pack
    }

    /// Queries of a warpgroup, of each head.
    pub const fn own_queries(self) -> usize {
        64 / self.pack
    }

    /// Threads of the warpgroups that multiply.
    pub const fn threads(self) -> u32 {
        128 * self.warpgroups as u32
    }

    /// Who releases a stage: a thread of each warpgroup.
    pub const fn releases(self) -> u32 {
        self.warpgroups as u32
    }

    /// Keys that a copy brings to a tile of `keys`.
    pub const fn copied(self, keys: usize) -> usize {
        match self.per_copy {
            Some(keys) => keys,
            None => keys,
        }
    }

    /// Registers of a thread that copies, or transposes bytes, and of one that multiplies, if they change
    /// hands: together no more than 65536. Who copies pages knows those of a whole tile. A block of two
    /// warpgroups in all has as many as a thread can have from the start.
    pub const fn shares(self, element: usize) -> Option<(usize, usize)> {
        match (self.warpgroups, element, self.per_copy) {
            (2, 1, _) => Some((56, 224)),
            // Wider tiles have more sums, and fewer pages.
            (2, _, Some(_)) if self.columns <= 128 => Some((56, 224)),
            (2, _, Some(_)) => Some((40, 232)),
            (2, _, None) => Some((24, 240)),
            _ => None,
        }
    }
}

impl Tile {
    /// Bytes of shared memory of a block: queries, two stages of keys and of values, and the barriers; bytes of
    /// values are there twice, as they come and transposed.
    pub const fn shared_bytes(self, warpgroups: usize, element: usize) -> usize {
        let Tile { columns, values, keys } = self;
        let rings = if element == 1 { 2 } else { 1 };
        let numbers = 64 * warpgroups * columns + STAGES * keys * (columns + rings * values);
        numbers * element + 16 * (1 + (1 + rings) * STAGES) + 16
    }

    /// Registers of a thread that hold sums, scores and weights.
    pub const fn registers(self, element: usize) -> usize {
        self.values / 2 + self.keys / 2 + self.keys * element / 8
    }

    /// Whether a block of so many warpgroups has the shared memory and the registers; 24 are for all
    /// else. The tile of 176 keys is never one of pages.
    pub const fn fits(self, warpgroups: usize, element: usize) -> bool {
        let most = match element {
            1 => 224,
            _ if self.keys == 176 => 240,
            _ if self.values > 128 => 232,
            _ => 224,
        };
        self.shared_bytes(warpgroups, element) <= SHARED && self.registers(element) + 24 <= most
    }
}

/// The swizzle of rows of so many columns of 1 or 2 bytes: the widest whose panels they consist of.
pub fn swizzle(columns: usize, element: usize) -> Swizzle {
    match columns * element {
        n if n.is_multiple_of(128) => Swizzle::B128,
        n if n.is_multiple_of(64) => Swizzle::B64,
        _ => Swizzle::B32,
    }
}

/// Columns of a box of a tensor: a panel's.
pub fn panel(columns: usize, element: usize) -> usize {
    swizzle(columns, element).width() as usize / element
}

/// The tile for heads of so many columns of keys and of values, 256 at most. Where tiles are masked, wide ones
/// waste more than they save. Of 8-bit floats values have a multiple of the 16 columns that outputs are stored in.
pub fn tile(dimension: usize, values: usize, masked: bool, element: usize) -> Option<Tile> {
    if element == 1 {
        let taken = |tile: &Tile| tile.columns >= dimension && tile.values >= values;
        return TILES_OF_BYTES.into_iter().find(taken).filter(|_| values.is_multiple_of(16));
    }
    let wide = |tile: &&Tile| tile.columns == 128 && tile.keys == 176;
    let fitting = TILES.iter().filter(|tile| tile.columns >= dimension && tile.values >= values);
    let least = fitting.clone().map(|tile| (tile.columns, tile.values)).min()?;
    let mut fitting = fitting.filter(|tile| (tile.columns, tile.values) == least);
    fitting.find(|tile| wide(tile) != masked || least != (128, 128)).copied()
}

/// Keys of pages of so many that one copy brings to a tile: as many as pages and tiles both consist of. Panels'
/// rows are exchanged by eights, so fewer cannot be placed.
pub fn per_copy(page: usize, keys: usize) -> Option<usize> {
    let mut common = (keys, page);
    while common.1 > 0 {
        common = (common.1, common.0 % common.1);
    }
    Some(common.0).filter(|keys| keys.is_multiple_of(8))
}

/// Heads of queries that a tile takes together, of `group` with the same keys: all, where the queries of
/// one would leave more than a tenth of the rows empty that all together fill.
pub fn pack(queries: usize, group: usize, rows: usize) -> usize {
    let together = group.next_power_of_two();
    if group <= 1 || together > 64 {
        return 1;
    }
    let full = |used: usize, taken: usize| used as f64 / (taken.div_ceil(rows) * rows) as f64;
    let alone = full(queries, queries);
    let packed = full(queries * group, queries * together);
    if alone < 0.9 * packed { together } else { 1 }
}

/// Warpgroups that multiply: as few as hold the rows, at most two, whose threads have registers for all
/// tiles. Three, of 160 registers, spill.
pub fn warpgroups(rows: usize) -> usize {
    rows.div_ceil(64).clamp(1, 2)
}

/// Blocks that share the keys of a piece of work: one where there is work for most of the device, else the
/// fewest whose last wave is nearly as full as that of any number.
pub fn splits(pieces: usize, tiles: usize, units: usize) -> usize {
    let units = units.max(1);
    if pieces * 5 >= units * 4 || tiles <= 4 || pieces == 0 {
        return 1;
    }
    let most = tiles.div_ceil(2).min(units).min(128);
    let efficiency = |splits: usize| {
        let waves = (pieces * splits) as f64 / units as f64;
        waves / waves.ceil()
    };
    let best = (1..=most).map(efficiency).fold(0.0, f64::max);
    (1..=most).find(|&splits| efficiency(splits) >= 0.85 * best).unwrap_or(1)
}

/// Blocks for so many pieces of work. Pieces of one length go to blocks that stay, as many as run at the same
/// time; others to a block each, which the device gives to whichever multiprocessor is done first.
pub fn blocks(pieces: usize, units: usize, alike: bool) -> usize {
    if alike { pieces.min(units.max(1)) } else { pieces }
}

/// Heads of keys, of all sequences, whose blocks run at about the same time: as many as the L2 cache has
/// room for, of 50 MB 32.
pub fn section(bytes: usize, heads_each: usize) -> usize {
    let fitting = (32 << 20) / bytes.max(1);
    let power = if fitting == 0 { 1 } else { 1 << fitting.ilog2() };
    power * heads_each.max(1)
}

/// Whether a device has the instructions.
pub fn is_hopper(target: &Target) -> bool {
    *target == Target::sm(90, true)
}

/// Whether the copy engine can walk a tensor along its last axis: neighbours are next to each other,
/// everything else at multiples of 16 bytes below 2^40 (CUDA Driver API, `cuTensorMapEncodeTiled`).
pub fn walks(shape: [usize; 4], strides: [usize; 4], address: u64, element: usize) -> bool {
    let steps = |axis: usize| {
        let bytes = strides[axis].saturating_mul(element);
        shape[axis] == 1 || (bytes > 0 && bytes.is_multiple_of(16) && bytes < 1 << 40)
    };
    let extents = shape.iter().all(|n| (1..=1 << 31).contains(n));
    let along = strides[3] == 1 || shape[3] == 1;
    extents && along && (0..3).all(steps) && address.is_multiple_of(16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tile_fits_hopper() {
        assert_eq!(SHARED, Target::sm(90, true).max_shared_bytes() as usize);
        let (halves, bytes) = (TILES.map(|tile| (tile, 2)), TILES_OF_BYTES.map(|tile| (tile, 1)));
        for (tile, element) in halves.into_iter().chain(bytes) {
            for warpgroups in 1..=warpgroups(usize::MAX) {
                assert!(tile.fits(warpgroups, element), "{tile:?} of {warpgroups}");
            }
        }
    }

    #[test]
    fn shares_of_registers_are_no_more_than_there_are() {
        let paged = [(2, 1, Some(16)), (2, 2, Some(16))];
        let whole = [(1, 1), (1, 2), (2, 1), (2, 2)].map(|(groups, bytes)| (groups, bytes, None));
        for (warpgroups, element, per_copy) in paged.into_iter().chain(whole) {
            let plan = Plan {
                warpgroups,
                pack: 1,
                columns: 64,
                ragged: false,
                turns: false,
                lazy: false,
                polynomials: 0,
                per_copy,
            };
            if let Some((copies, multiplies)) = plan.shares(element) {
                assert!(128 * (copies + warpgroups * multiplies) <= 65536);
            }
        }
    }

    #[test]
    fn each_dimension_has_the_next_tile() {
        let keys = |d, masked| tile(d, d, masked, 2).map(|tile| (tile.columns, tile.keys));
        assert_eq!(keys(64, true), Some((64, 128)));
        assert_eq!(keys(40, false), Some((64, 128)));
        assert_eq!(keys(72, true), Some((96, 128)));
        assert_eq!(keys(128, true), Some((128, 128)));
        assert_eq!(keys(128, false), Some((128, 176)));
        assert_eq!(keys(136, true), Some((192, 96)));
        assert_eq!(keys(256, false), Some((256, 80)));
        assert_eq!(keys(264, false), None);
        let of =
            |d, values| tile(d, values, true, 2).map(|tile| [tile.columns, tile.values, tile.keys]);
        assert_eq!(of(192, 128), Some([192, 128, 128]));
        assert_eq!(of(136, 64), Some([192, 128, 128]));
        assert_eq!(of(64, 72), Some([96, 96, 128]));
        assert_eq!(of(192, 136), Some([192, 192, 96]));
        assert_eq!(of(64, 512), None);
        assert_eq!(tile(80, 80, true, 1), Some(TILES_OF_BYTES[1]));
        assert_eq!(tile(264, 264, true, 1), None);
        assert_eq!(tile(72, 72, true, 1), None);
        let of_bytes =
            |d, values| tile(d, values, true, 1).map(|tile| [tile.columns, tile.values, tile.keys]);
        assert_eq!(of_bytes(192, 128), Some([192, 128, 128]));
        assert_eq!(of_bytes(72, 48), Some([128, 128, 128]));
        assert_eq!(of_bytes(64, 192), Some([192, 192, 96]));
        assert_eq!(of_bytes(192, 208), Some([256, 256, 64]));
        assert_eq!(of_bytes(192, 72), None);
        assert_eq!(of_bytes(192, 272), None);
    }

    #[test]
    fn pages_and_tiles_consist_of_copies() {
        assert_eq!(
            [128, 256, 64, 16, 8].map(|page| per_copy(page, 128)),
            [128, 128, 64, 16, 8].map(Some)
        );
        assert_eq!([16, 32, 64].map(|page| per_copy(page, 80)), [Some(16); 3]);
        assert_eq!([48, 40, 24].map(|page| per_copy(page, 128)), [16, 8, 8].map(Some));
        assert_eq!([1, 4, 20].map(|page| per_copy(page, 128)), [None; 3]);
    }

    #[test]
    fn few_queries_of_a_group_share_a_tile() {
        assert_eq!(pack(1, 8, 128), 8);
        assert_eq!(pack(1, 6, 128), 8);
        assert_eq!(pack(1, 1, 128), 1);
        assert_eq!(pack(4096, 8, 128), 1);
        assert_eq!(pack(1, 128, 128), 1);
        assert_eq!(pack(130, 4, 128), 4);
    }

    #[test]
    fn keys_are_split_where_work_is_scarce() {
        assert_eq!(splits(132, 64, 132), 1);
        assert_eq!(splits(8, 4, 132), 1);
        // 8 pieces: 16 splits are 128 of 132 blocks.
        assert!((14..=16).contains(&splits(8, 256, 132)));
        assert_eq!(splits(0, 256, 132), 1);
    }

    #[test]
    fn sections_fit_the_cache() {
        // 16384 keys of 128 columns are 8 MiB with their values.
        assert_eq!(section(8 << 20, 1), 4);
        assert_eq!(section(8 << 20, 4), 16);
        assert_eq!(section(usize::MAX, 1), 1);
    }

    #[test]
    fn what_the_engine_walks() {
        let (shape, strides) = ([2, 3, 100, 64], [19200, 6400, 64, 1]);
        assert!(walks(shape, strides, 1 << 20, 2));
        assert!(!walks(shape, strides, (1 << 20) + 8, 2));
        assert!(!walks(shape, [19200, 6400, 68, 1], 1 << 20, 2));
        assert!(!walks(shape, [19200, 6400, 1, 100], 1 << 20, 2));
        assert!(!walks(shape, [0, 6400, 64, 1], 1 << 20, 2));
        assert!(walks([1, 3, 100, 64], [5, 6400, 64, 1], 1 << 20, 2));
        assert!(!walks([2, 3, 0, 64], strides, 1 << 20, 2));
    }
}
