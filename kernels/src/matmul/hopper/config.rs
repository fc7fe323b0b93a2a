//! Which tiles a product is cut into on Hopper: a model of the clocks of each way there is a kernel for,
//! from what `docs/notes/matmul-hopper.md` derives.

use super::cooperative::BM;

/// Widths of a tile of sums that there are kernels for, each with the stages that shared memory holds
/// beside what C leaves through.
pub const WIDTHS: [(usize, usize); 5] = [(16, 12), (32, 10), (64, 8), (128, 6), (256, 4)];

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

/// What is multiplied: `batch` products of `m x k` by `k x n`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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
}

/// A way to multiply them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// Columns of a tile of sums.
    pub width: usize,
    /// Blocks of a cluster, which share B.
    pub cluster: usize,
    /// Parts of the depth that are summed by themselves.
    pub parts: usize,
    /// Whether the product of the transposes is taken.
    pub exchanged: bool,
    /// Whether warpgroups take whole tiles in turns, and one stores while the other multiplies.
    pub pingpong: bool,
}

/// Bytes of shared memory of a block: the stages, what C leaves through, and two barriers a stage.
pub const fn shared_bytes(width: usize, stages: usize, exchanged: bool, size: usize) -> usize {
    let out = if exchanged { 2 * 64 * width * size } else { 2 * 64 * 128 };
    stages * ((BM + width) * 128 + 16) + out
}

impl Config {
    /// Rows and columns of the sums, the axes of C or exchanged ones.
    fn sums(&self, product: &Product) -> (usize, usize) {
        let &Product { m, n, .. } = product;
        if self.exchanged { (n, m) } else { (m, n) }
    }

    /// Tiles of sums, those that fill up clusters among them.
    pub fn tiles(&self, product: &Product) -> usize {
        let (rows, columns) = self.sums(product);
        let down = rows.div_ceil(BM * self.cluster) * self.cluster;
        product.batch * self.parts * down * columns.div_ceil(self.width)
    }

    /// Why there is no kernel for it, if so.
    ///
    /// # Errors
    /// The rule it breaks.
    pub fn check(&self, product: &Product) -> Result<(), String> {
        let Config { width, cluster, parts, exchanged, pingpong } = *self;
        let &Product { along, size, element, depth, .. } = product;
        let Some((_, stages)) = WIDTHS.into_iter().find(|w| w.0 == width) else {
            return Err(format!("no tile is {width} wide"));
        };
        // 65536 registers, of which the three warpgroups keep 40, 232 and 232 a thread; a thread holds
        // half as many sums as a tile is wide, or as many, and needs about 40 registers besides.
        let sums = if pingpong { width } else { width / 2 };
        if sums + 40 > 232 {
            return Err(format!("{sums} sums a thread"));
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

    /// Clocks of the whole product on so many multiprocessors.
    pub fn clocks(&self, product: &Product, multiprocessors: usize) -> f64 {
        let &Product { batch, m, n, depth, size, .. } = product;
        let blocks = (multiprocessors / self.cluster).max(1) * self.cluster;
        let tiles = self.tiles(product);
        let waves = tiles.div_ceil(blocks) as f64;
        let steps = depth.div_ceil(128).div_ceil(self.parts) as f64;
        let step = steps * self.step(tiles.min(blocks));
        let busy = match self.pingpong {
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

/// The way that the model finds fastest. There is one for factors along k, and for those of 16 bits.
pub fn choose(product: &Product, multiprocessors: usize) -> Option<Config> {
    let mut best: Option<(f64, Config)> = None;
    for config in every() {
        // More parts than there are idle multiprocessors for only cost.
        let whole = Config { parts: 1, ..config };
        let idle = config.parts == 1 || whole.tiles(product) * config.parts <= 2 * multiprocessors;
        if !idle || config.check(product).is_err() {
            continue;
        }
        let clocks = config.clocks(product, multiprocessors);
        if best.is_none_or(|(least, _)| clocks < least) {
            best = Some((clocks, config));
        }
    }
    best.map(|(_, config)| config)
}

/// Every way there could be, legal for a product or not; of equals the first is taken.
fn every() -> impl Iterator<Item = Config> {
    let plain = Config { width: 0, cluster: 1, parts: 1, exchanged: false, pingpong: false };
    let widths = WIDTHS.into_iter().rev().map(move |(width, _)| Config { width, ..plain });
    let clusters = widths.flat_map(|c| [2, 1].map(|cluster| Config { cluster, ..c }));
    let parts =
        clusters.flat_map(|c| [1, 2, 3, 4, 6, 8, 12, 16].map(|parts| Config { parts, ..c }));
    parts.flat_map(|c| {
        [(false, false), (false, true), (true, false)].map(|(exchanged, pingpong)| Config {
            exchanged,
            pingpong,
            ..c
        })
    })
}

/// The width of tiles for groups of rows, of which `product` is a batch of average ones.
pub fn grouped_width(product: &Product, multiprocessors: usize) -> usize {
    let plain = Config { width: 128, cluster: 1, parts: 1, exchanged: false, pingpong: false };
    let clocks = |width| Config { width, ..plain }.clocks(product, multiprocessors);
    if clocks(256) < clocks(128) { 256 } else { 128 }
}

/// Blocks of a cluster for pairs of products, `product` each: tiles of both, 128 wide, are as one of 256.
pub fn gated_cluster(product: &Product, multiprocessors: usize) -> usize {
    let both = Product { n: 2 * product.n, ..*product };
    let plain = Config { width: 256, cluster: 1, parts: 1, exchanged: false, pingpong: false };
    let clocks = |cluster| Config { cluster, ..plain }.clocks(&both, multiprocessors);
    if clocks(2) < clocks(1) { 2 } else { 1 }
}

/// Blocks of a cluster for 8-bit floats with scales, in tiles of 128 x 128.
pub fn scaled_cluster(product: &Product, multiprocessors: usize) -> usize {
    let plain = Config { width: 128, cluster: 1, parts: 1, exchanged: false, pingpong: false };
    let config = |cluster| Config { cluster, ..plain };
    let clocks = |cluster: usize| config(cluster).clocks(product, multiprocessors);
    if clocks(2) < clocks(1) { 2 } else { 1 }
}

#[cfg(test)]
mod tests {
    use kernelsmith::Target;

    use super::*;

    fn bf16(m: usize, n: usize, k: usize) -> Product {
        Product { batch: 1, m, n, depth: 2 * k, size: 2, along: [true, true], element: 2 }
    }

    const PLAIN: Config =
        Config { width: 128, cluster: 1, parts: 1, exchanged: false, pingpong: false };

    fn chosen(product: Product) -> Config {
        choose(&product, 132).unwrap()
    }

    #[test]
    fn every_width_fits_hopper() {
        let limit = Target::sm(90, true).max_shared_bytes() as usize;
        for (width, stages) in WIDTHS {
            // What C leaves through is largest for 4 bytes, exchanged where that is possible.
            let out = width <= WIDEST_EXCHANGED;
            assert!(shared_bytes(width, stages, out, 4) <= limit, "{width}");
            assert!(shared_bytes(width, stages + 1, out, 4) > limit, "{width}: room for another");
        }
    }

    #[test]
    fn large_products_take_wide_tiles_in_clusters() {
        for n in [4096, 8192, 16384] {
            let config = chosen(bf16(n, n, n));
            assert_eq!(config, Config { width: 256, cluster: 2, ..PLAIN });
        }
    }

    #[test]
    fn shallow_products_are_stored_while_the_next_are_multiplied() {
        let config = chosen(bf16(8192, 8192, 512));
        assert_eq!(config, Config { cluster: 2, pingpong: true, ..PLAIN });
    }

    #[test]
    fn tiles_fill_the_device() {
        // 64 tiles of 128 fill half of the device, 32 of 256 a quarter: narrower ones, or parts.
        let small = chosen(bf16(1024, 1024, 1024));
        assert!(small.tiles(&bf16(1024, 1024, 1024)) > 64, "{small:?}");
        // 128 tiles of 256 are one wave, as 256 of 128 would be two.
        assert_eq!(chosen(bf16(2048, 2048, 2048)).width, 256);
    }

    #[test]
    fn few_rows_are_columns_of_the_tiles() {
        for (m, width) in [(1, 16), (16, 16), (17, 32), (48, 64)] {
            let config = chosen(bf16(m, 4096, 4096));
            assert!(config.exchanged && config.width == width, "{m}: {config:?}");
            // 32 tiles would leave three quarters of the device idle.
            assert!(config.parts > 1, "{config:?}");
        }
        // Few columns are those of the tiles as they are.
        let config = chosen(bf16(4096, 64, 4096));
        assert!(!config.exchanged && config.width == 64, "{config:?}");
    }

    #[test]
    fn groups_take_wide_tiles_if_those_fill_the_device() {
        let experts = |groups, rows| Product { batch: groups, ..bf16(rows, 2048, 7168) };
        assert_eq!(grouped_width(&experts(32, 1024), 132), 256);
        assert_eq!(grouped_width(&experts(4, 128), 132), 128);
    }

    #[test]
    fn pairs_share_right_factors_where_rows_come_in_pairs() {
        assert_eq!(gated_cluster(&bf16(4096, 14336, 4096), 132), 2);
        assert_eq!(gated_cluster(&bf16(128, 14336, 4096), 132), 1);
    }

    #[test]
    fn scaled_products_share_b_where_rows_come_in_pairs() {
        let e4m3 = |m, n, k| Product { depth: k, element: 1, ..bf16(m, n, k) };
        assert_eq!(scaled_cluster(&e4m3(4096, 4096, 4096), 132), 2);
        assert_eq!(scaled_cluster(&e4m3(100, 4096, 4096), 132), 1);
    }

    #[test]
    fn what_is_no_kernel_is_told() {
        let product = bf16(256, 256, 256);
        let good = PLAIN;
        assert_eq!(good.check(&product), Ok(()));
        for (config, product, rule) in [
            (Config { width: 96, ..good }, product, "no tile"),
            (Config { exchanged: true, ..good }, product, "at once"),
            (Config { parts: 2, ..good }, product, "parts"),
            (Config { pingpong: true, width: 256, ..good }, product, "sums a thread"),
            (Config { pingpong: true, parts: 2, ..good }, product, "turns"),
            (Config { width: 16, ..good }, product, "shared memory"),
            (Config { width: 32, ..good }, product, "panels"),
            (good, Product { element: 1, along: [true, false], ..product }, "along k"),
            (
                Config { width: 64, cluster: 2, ..good },
                Product { along: [true, false], ..product },
                "panels",
            ),
        ] {
            let error = config.check(&product).unwrap_err();
            assert!(error.contains(rule), "{error}");
        }
        // Bytes across k: nothing takes them.
        assert_eq!(choose(&Product { element: 1, along: [false, true], ..product }, 132), None);
    }

    proptest::proptest! {
        /// Whatever is chosen is legal, and its tiles cover the product.
        #[test]
        fn what_is_chosen_is_legal(
            m in 1usize..5000,
            n in 1usize..5000,
            k in 1usize..5000,
            batch in 1usize..5,
            along: [bool; 2],
        ) {
            let product = Product { batch, along, ..bf16(m, n, k) };
            let config = choose(&product, 132).unwrap();
            assert_eq!(config.check(&product), Ok(()));
            let (rows, columns) = config.sums(&product);
            let tiles = config.tiles(&product) / config.parts / batch;
            assert!(tiles * BM * config.width >= rows * columns);
        }
    }
}
