//! Into which tiles a product can be cut on Hopper: what is legal, and a model of the clocks it takes, from
//! what `docs/notes/matmul-hopper.md` derives.

use super::cooperative::BM;
use super::stream::shared_tiles;

/// Widths of a tile of sums that there are kernels for, each with the stages that shared memory holds
/// beside what C leaves through. Fewer are never better: a block has its multiprocessor to itself.
pub const WIDTHS: [(usize, usize); 6] = [(16, 12), (32, 10), (64, 8), (128, 6), (192, 5), (256, 4)];

/// The widest tile that is stored exchanged: C's part of it is in shared memory at once.
const WIDEST_EXCHANGED: usize = 64;

/// Bytes a clock that all multiprocessors read of L2 together, that one of them does, and that memory gives.
const L2_BYTES: f64 = 6072.0;
const OWN_L2_BYTES: f64 = 64.0;
const MEMORY_BYTES: f64 = 2750.0;

/// Clocks of a tile besides its steps: the first stage comes, the sums leave.
const TILE_CLOCKS: f64 = 1500.0;

/// Clocks of one launch more.
const LAUNCH_CLOCKS: f64 = 4000.0;

/// Steps of 128 bytes that a part of the depth has at least, so that its stages fill.
const SHORTEST_PART: usize = 4;

/// More blocks than run at a time on any GPU with these kernels.
const MOST_BLOCKS: usize = 1024;

/// What is multiplied: `batch` products of `m x k` by `k x n`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Product {
    /// Products.
    pub batch: usize,
    /// Rows of C.
    pub m: usize,
    /// Columns of C.
    pub n: usize,
    /// Bytes of a row of A.
    pub depth: usize,
    /// Bytes of an element of C.
    pub size: usize,
    /// Whether A, and B, lie along k.
    pub along: [bool; 2],
    /// Bytes of an element of a factor.
    pub element: usize,
    /// Whether C is the sums, times a number or mapped: there is no bias, residual or scale of rows and columns.
    pub bare: bool,
}

/// A way to multiply them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Config {
    /// Columns of a tile of sums.
    pub width: usize,
    /// Blocks of a cluster, which share B.
    pub cluster: usize,
    /// Parts of the depth that are summed by themselves.
    pub parts: usize,
    /// Whether the steps of the tiles that would be the last wave, and of one wave before, are shared out evenly
    /// (stream-K).
    pub streamed: bool,
    /// Whether the product of the transposes is taken.
    pub exchanged: bool,
    /// Whether warpgroups take whole tiles in turns, and one stores while the other multiplies.
    pub pingpong: bool,
    /// Rows of tiles that are taken together, column by column: blocks that run at the same time share
    /// rows of A and columns of B in the L2 cache (DeepGEMM and CUTLASS call it a swizzle or grouped
    /// raster).
    pub group: usize,
}

/// The widest tile whose steps may be shared out where a bias, a residual or scales follow: ptxas spills the
/// registers of wider ones.
const WIDEST_STREAMED: usize = 128;

/// What other kernels than those of [`Config`] take together.
pub(super) const GROUP: usize = 8;

/// Bytes of shared memory of a block: the stages, what C leaves through, and two barriers a stage.
pub const fn shared_bytes(width: usize, stages: usize, exchanged: bool, size: usize) -> usize {
    let out = if exchanged { 2 * 64 * width * size } else { 2 * 64 * 128 };
    stages * ((BM + width) * 128 + 16) + out
}

impl Config {
    /// Rows and columns of the sums, the axes of C or exchanged ones.
    pub(super) fn sums(&self, product: &Product) -> (usize, usize) {
        let &Product { m, n, .. } = product;
        if self.exchanged { (n, m) } else { (m, n) }
    }

    /// Tiles of sums, those that fill up clusters among them.
    pub fn tiles(&self, product: &Product) -> usize {
        let columns = self.sums(product).1;
        product.batch * self.parts * self.tiles_down(product) * columns.div_ceil(self.width)
    }

    /// Blocks that are launched, of which each multiprocessor runs one, for `matrices x m x n` sums: those of
    /// the parts are matrices of their own. A device of fewer multiprocessors than a cluster has blocks runs
    /// one all the same.
    pub(super) fn grid(&self, [matrices, m, n]: [usize; 3], multiprocessors: usize) -> usize {
        let (rows, columns) = if self.exchanged { (n, m) } else { (m, n) };
        let down = rows.div_ceil(BM * self.cluster) * self.cluster;
        let tiles = matrices * down * columns.div_ceil(self.width);
        let most = (multiprocessors / self.cluster * self.cluster).max(self.cluster);
        if self.streamed { most } else { tiles.min(most) }
    }

    /// Tiles whose steps are shared out among the blocks on so many multiprocessors, both counted in clusters.
    pub(super) fn streamed_tiles(&self, product: &Product, multiprocessors: usize) -> usize {
        let blocks = (multiprocessors / self.cluster).max(1);
        if self.streamed {
            shared_tiles::host((self.tiles(product) / self.cluster) as u32, blocks as u32) as usize
        } else {
            0
        }
    }

    /// Rows of tiles of one matrix.
    pub(super) fn tiles_down(&self, product: &Product) -> usize {
        self.sums(product).0.div_ceil(BM * self.cluster) * self.cluster
    }

    /// Rows of A and columns of B that the blocks read at a time: the fewer, the more of them come from L2.
    pub(super) fn at_once(&self, product: &Product, multiprocessors: usize) -> usize {
        let group = self.group.min(self.tiles_down(product)).max(1);
        let across = multiprocessors.min(self.tiles(product)).div_ceil(group);
        group * BM + across * self.width
    }

    /// Why there is no kernel for it, if so.
    ///
    /// # Errors
    /// The rule it breaks.
    pub fn check(&self, product: &Product) -> Result<(), String> {
        let Config { width, cluster, parts, streamed, exchanged, pingpong, group } = *self;
        let &Product { along, size, element, depth, bare, .. } = product;
        let Some((_, stages)) = WIDTHS.into_iter().find(|w| w.0 == width) else {
            return Err(format!("no tile is {width} wide"));
        };
        // 65536 registers, of which the three warpgroups keep 40, 232 and 232 a thread; a thread holds
        // half as many sums as a tile is wide, or as many, and needs about 40 registers besides.
        let sums = if pingpong { width } else { width / 2 };
        if sums + 40 > 232 {
            return Err(format!("{sums} sums a thread"));
        }
        if group == 0 || !group.is_multiple_of(cluster) {
            return Err(format!("{group} rows of tiles for clusters of {cluster}"));
        }
        if exchanged && width > WIDEST_EXCHANGED {
            return Err(format!("{width} rows of C at once"));
        }
        let bytes = shared_bytes(width, stages, exchanged, size);
        if bytes > 227 * 1024 {
            return Err(format!("{bytes} bytes of shared memory"));
        }
        let panel = 128 / element;
        let [left, right] = if exchanged { [along[1], along[0]] } else { along };
        if element != 2 && !(left && right) {
            return Err("factors lie along k unless their elements have 16 bits".to_owned());
        }
        if !right && !width.is_multiple_of(panel * cluster) {
            return Err(format!(
                "{width} columns are no whole panels for each of {cluster} blocks"
            ));
        }
        // Parts of a stage begin at multiples of 8 rows, as swizzles repeat.
        if !width.is_multiple_of(8 * cluster) {
            return Err(format!("{width} columns for {cluster} blocks"));
        }
        if !exchanged && !width.is_multiple_of(128 / size) {
            return Err(format!("{width} columns of {size} bytes are no whole panels"));
        }
        if pingpong && (width != 128 || exchanged || parts > 1) {
            return Err(
                "warpgroups take turns at tiles of 128 x 128, whole and as they are".to_owned()
            );
        }
        if cluster > 1 && exchanged {
            return Err("a cluster shares few columns of few rows".to_owned());
        }
        if streamed && (parts > 1 || pingpong) {
            return Err("steps are shared out of whole tiles of both warpgroups".to_owned());
        }
        if streamed && !bare && width > WIDEST_STREAMED {
            return Err(format!(
                "{width} columns of shared tiles leave no registers for a bias, residual or scales"
            ));
        }
        // What a block is at is counted in 32 bits, two waves beyond the last tile too.
        let tiles = self.tiles(product);
        if i32::try_from(tiles).is_err() {
            return Err(format!("{tiles} tiles"));
        }
        let steps = (self.tiles(product) + MOST_BLOCKS) as u64 * depth.div_ceil(128) as u64;
        if streamed && u32::try_from(steps).is_err() {
            return Err(format!("{steps} steps to share out"));
        }
        if parts > 1 && depth.div_ceil(128) < parts * SHORTEST_PART {
            return Err(format!("{parts} parts of {depth} bytes"));
        }
        Ok(())
    }

    /// Clocks of a step, 128 bytes along k: those of the tensor cores, of what they read of shared memory
    /// (128 bytes a clock; a product of N columns reads `64 + 4096 / N` a clock), and of what comes from
    /// L2 while so many blocks read.
    fn step(&self, blocks: usize) -> f64 {
        let width = self.width as f64;
        let shared = ((64.0 + 4096.0 / width) / 128.0).max(1.0);
        let loaded = 128.0 * (BM as f64 + width / self.cluster as f64);
        let rate = (L2_BYTES / blocks as f64).min(OWN_L2_BYTES);
        (4.0 * width * shared).max(loaded / rate)
    }

    /// Clocks where the steps of some tiles are shared out: a block hands in its sums of one tile at most, and
    /// takes those of all others that have a part of its own.
    fn streamed_clocks(&self, product: &Product, blocks: usize) -> f64 {
        let (tiles, clusters) = (self.tiles(product) / self.cluster, blocks / self.cluster);
        let steps = product.depth.div_ceil(128);
        let streamed = self.streamed_tiles(product, blocks);
        let share = (streamed * steps).div_ceil(clusters).max(1);
        let whole = (tiles - streamed) / clusters;
        let sums = (4 * BM * self.width) as f64 / (L2_BYTES / blocks as f64).min(OWN_L2_BYTES);
        let moved = (1 + steps.div_ceil(share)) as f64 * sums;
        // Two tiles of which the block has a part, and zeros for the flags.
        let tile_clocks = (whole + 2) as f64 * TILE_CLOCKS + LAUNCH_CLOCKS;
        (whole * steps + share) as f64 * self.step(blocks) + tile_clocks + moved
    }

    /// Clocks of the whole product on so many multiprocessors.
    pub fn clocks(&self, product: &Product, multiprocessors: usize) -> f64 {
        let &Product { batch, m, n, depth, size, .. } = product;
        let blocks = (multiprocessors / self.cluster).max(1) * self.cluster;
        let tiles = self.tiles(product);
        let waves = tiles.div_ceil(blocks) as f64;
        let steps = depth.div_ceil(128).div_ceil(self.parts) as f64;
        let step = steps * self.step(tiles.min(blocks));
        let busy = match self.pingpong {
            _ if self.streamed => self.streamed_clocks(product, blocks),
            false => waves * (step + TILE_CLOCKS),
            // A tile is stored while the next is multiplied, and the last one by itself.
            true => waves * step.max(TILE_CLOCKS) + TILE_CLOCKS,
        };
        let c = (batch * m * n) as f64;
        let factors = (batch * depth) as f64 * (m + n) as f64;
        let memory = (factors + c * size as f64) / MEMORY_BYTES;
        // Sums of parts have 32 bits, are written and read once; most of them stay in L2.
        let summed = match self.parts {
            1 => 0.0,
            parts => LAUNCH_CLOCKS + c * (8 * parts) as f64 / (2.0 * MEMORY_BYTES),
        };
        // What memory hides still takes power: of equals the one that is less busy.
        busy.max(memory) + summed + busy / 100.0
    }
}

#[cfg(test)]
pub(super) mod tests;
