//! Which tiles a product with quantised weights is cut into on Hopper: a model of the clocks of each way, from
//! what `docs/notes/quantised-hopper.md` derives.

use super::fragments::{DEPTH, Form, ROWS};

/// Rows of X of a tile that there are kernels for, each with the stages that shared memory holds.
pub const WIDTHS: [(usize, usize); 4] = [(16, 10), (32, 8), (64, 6), (128, 4)];

/// Bytes a clock and multiprocessor that come from memory and from L2 while all read.
const MEMORY_BYTES: f64 = 20.8;
const L2_BYTES: f64 = 46.0;

/// Clocks of a tile besides its steps, and of a launch more.
const TILE_CLOCKS: f64 = 1500.0;
const LAUNCH_CLOCKS: f64 = 4000.0;

/// Stages that a part of the depth has at least.
const SHORTEST_PART: usize = 2;

/// The most parts: their sums are written and read.
const MOST_PARTS: usize = 16;

/// A way to multiply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// Rows of X of a tile.
    pub width: usize,
    /// Parts of the depth that are summed by themselves.
    pub parts: usize,
}

impl Form {
    /// Issues of each scheduler for the factors of a piece, of which two warpgroups have half each: a word of
    /// 8 weights takes 3 shifts, 8 masks, 4 sums and 4 products, of bytes 8 times bits, sum and product, and 4
    /// conversions of half the rate.
    fn issues(self) -> f64 {
        let slice = if self.bits == 4 { 1 + 3 + 8 + 8 } else { 2 + 8 * 4 + 4 * 2 };
        (2 * (8 * slice + 12 * self.scales)) as f64
    }
}

impl Config {
    fn tiles(self, [m, n, _]: [usize; 3]) -> usize {
        n.div_ceil(ROWS) * m.div_ceil(self.width)
    }

    /// Clocks of `X: m x k` times `W: n x k` on so many multiprocessors.
    pub fn clocks(self, form: Form, shape @ [m, n, k]: [usize; 3], multiprocessors: usize) -> f64 {
        let Config { width, parts } = self;
        let stages = k.div_ceil(DEPTH);
        let waves = (self.tiles(shape) * parts).div_ceil(multiprocessors) as f64;
        // 128 x width x 128 products, of which the tensor cores do 4096 bf16 a clock, counted as two each.
        let tensor = (8 * width) as f64;
        // The right factor is read once for each 64 rows, 128 bytes a clock, besides what is written.
        let shared = (2 * DEPTH * 2 * width + 4 * form.words()) as f64 / 128.0;
        let loaded = (4 * form.words() + 2 * DEPTH * width) as f64 / L2_BYTES;
        let step = [shared, loaded, form.issues()].into_iter().fold(tensor, f64::max);
        let busy = waves * (stages.div_ceil(parts) as f64 * step + TILE_CLOCKS);
        let weights = n.div_ceil(ROWS) * stages * 4 * form.words();
        let moved = (weights + 2 * m * k + 4 * m * n) as f64;
        let memory = moved / (MEMORY_BYTES * multiprocessors as f64);
        let summed = match parts {
            1 => 0.0,
            _ => {
                let bytes = (8 * parts * m * n) as f64;
                LAUNCH_CLOCKS + bytes / (2.0 * MEMORY_BYTES * multiprocessors as f64)
            }
        };
        busy.max(memory) + summed + busy / 100.0
    }
}

/// The way that the model finds fastest.
pub fn choose(form: Form, shape: [usize; 3], multiprocessors: usize) -> Config {
    let stages = shape[2].div_ceil(DEPTH);
    let most = (stages / SHORTEST_PART).clamp(1, MOST_PARTS);
    let ways = WIDTHS
        .into_iter()
        .rev()
        .flat_map(|(width, _)| (1..=most).map(move |parts| Config { width, parts }));
    // More parts than there are idle multiprocessors for only cost.
    let useful = ways
        .filter(|way| way.parts == 1 || way.tiles(shape) * way.parts <= 2 * multiprocessors.max(1));
    let units = multiprocessors.max(1);
    let clocks = |way: &Config| way.clocks(form, shape, units);
    let fastest = useful.min_by(|a, b| clocks(a).total_cmp(&clocks(b)));
    fastest.unwrap_or(Config { width: WIDTHS[3].0, parts: 1 })
}

#[cfg(test)]
mod tests {
    use kernelsmith::Target;

    use super::*;

    const INT4: Form = Form { bits: 4, scales: 1 };

    #[test]
    fn every_width_fits_hopper() {
        let limit = Target::sm(90, true).max_shared_bytes() as usize;
        for (width, stages) in WIDTHS {
            let form = Form { bits: 8, scales: 4 };
            let bytes = stages * (4 * form.words() + 2 * DEPTH * width + 16);
            assert!(bytes <= limit, "{width}: {bytes}");
        }
    }

    #[test]
    fn few_rows_are_bound_by_memory() {
        for (m, width) in [(1, 16), (16, 16), (17, 32), (64, 64)] {
            let config = choose(INT4, [m, 4096, 4096], 132);
            assert_eq!(config.width, width, "{m}: {config:?}");
            // 32 tiles would leave three quarters of the device idle.
            assert!(config.parts > 1, "{config:?}");
        }
        // Each piece's bits are turned into floats in less time than they take from memory.
        let piece = 4.0 * INT4.words() as f64 / MEMORY_BYTES;
        assert!(INT4.issues() < piece, "{} {piece}", INT4.issues());
    }

    #[test]
    fn many_rows_take_wide_tiles() {
        for [n, k] in [[4096, 4096], [28672, 4096], [4096, 14336]] {
            assert_eq!(choose(INT4, [4096, n, k], 132), Config { width: 128, parts: 1 });
        }
    }

    proptest::proptest! {
        /// Parts have work, whatever is asked for.
        #[test]
        fn what_is_chosen_is_legal(m in 1usize..5000, n in 1usize..20000, k in 1usize..900, units in 0usize..200) {
            let k = 32 * k;
            let Config { width, parts } = choose(INT4, [m, n, k], units);
            assert!(WIDTHS.iter().any(|w| w.0 == width));
            assert!(parts == 1 || parts * SHORTEST_PART <= k.div_ceil(DEPTH));
        }
    }
}
