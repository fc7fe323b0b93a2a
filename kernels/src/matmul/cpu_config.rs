//! How a product is cut on the CPU: a cost model of caches, and the configurations it ranks.
//!
//! Everything here is a pure function of shape, element sizes and [`Machine`]. The first configuration of
//! [`ranked`] is what products take when nobody has searched; a search measures some of the others.

use std::collections::HashSet;

use kernelsmith::{Machine, Target};

use super::pack::PANEL;
use super::panels::{Layout, TileSize};
use crate::tuning::divided;

/// What the model knows of a product.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Shape {
    /// Products.
    pub(super) batch: usize,
    /// Rows of A and C.
    pub(super) m: usize,
    /// Columns of B and C.
    pub(super) n: usize,
    /// Columns of A.
    pub(super) k: usize,
    /// Bytes of a sum, which A is converted to.
    pub(super) sum: usize,
    /// What may be done with B.
    pub(super) b: Right,
    /// Whether C cannot hold sums meanwhile: then a tile takes all of A's columns.
    pub(super) once: bool,
}

/// What may be done with the right factor.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Right {
    /// It has been packed.
    Packed,
    /// Its rows are contiguous: it can be packed, or read as it is.
    Rows,
    /// They are not: it must be packed.
    Columns,
}

/// How a product is done.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CpuConfig {
    /// How B is read.
    pub layout: Layout,
    /// What a block copies of A.
    pub tile: TileSize,
    /// Blocks for each thread, where there is a choice.
    pub blocks: usize,
}

/// Rows of tiles.
const ROWS: [usize; 5] = [USUAL_ROWS, 32, 96, 128, 192];
const USUAL_ROWS: usize = 64;
/// Those of products whose B comes from memory for each strip, the longest first.
const LONG_ROWS: [usize; 3] = [192, 128, 96];

/// Columns of the tiles of small products.
const SHORT: usize = 128;
/// Bytes of a row of those of others, at most.
const LONG: usize = 1024 * 4;

/// Columns of tiles there are.
fn depths(sum: usize) -> [usize; 5] {
    [SHORT, LONG / sum, LONG / 4 / sum, LONG / 2 / sum, LONG * 2 / sum]
}

/// The two depths that do for most shapes: the short one, and up to half of the longest as much as fits half
/// of a core's second-level cache with a panel.
fn usual_depths(sum: usize, machine: &Machine) -> [usize; 2] {
    let [short, _, quarter, half, _] = depths(sum);
    let fits = |depth: &usize| {
        own_bytes(TileSize { rows: USUAL_ROWS, depth: *depth }, *depth, sum)
            <= machine.l2_per_core() / 2
    };
    [short, [half, quarter].into_iter().find(fits).unwrap_or(short)]
}

/// Whether B is read from memory rather than from a cache for each strip: a quarter of the last-level cache is
/// what other cores, A and C leave of it.
fn is_far(shape: &Shape, machine: &Machine) -> bool {
    right_bytes(shape) > machine.l3 / 4
}

/// Bytes of B, in whole panels.
fn right_bytes(shape: &Shape) -> usize {
    shape.n.next_multiple_of(PANEL).saturating_mul(shape.k).saturating_mul(shape.sum)
}

/// The rows that do for most shapes: 64, or the most that half of a core's second-level cache holds where each
/// strip reads B from memory.
fn usual_rows(shape: &Shape, depth: usize, machine: &Machine) -> usize {
    if !is_far(shape, machine) {
        return USUAL_ROWS;
    }
    let fits = |rows: &usize| {
        *rows < shape.m + 32
            && own_bytes(TileSize { rows: *rows, depth }, depth, shape.sum)
                <= machine.l2_per_core() / 2
    };
    LONG_ROWS.into_iter().find(fits).unwrap_or(USUAL_ROWS)
}

/// Bytes that a block reads over and over: its tile and a panel of as many rows.
fn own_bytes(tile: TileSize, depth: usize, sum: usize) -> usize {
    (tile.elements() + depth * PANEL) * sum
}

/// What a configuration must be better by to come before the usual one: each tile is a kernel to be
/// compiled, and the model is no better than this.
const MARGIN: f64 = 0.05;

/// Columns of A up to which C is written once, whatever the machine.
pub(super) const fn deepest<S>() -> usize {
    LONG / size_of::<S>()
}

/// Blocks for each thread: a few, so that none waits long for another's last.
const BLOCKS: [usize; 4] = [4, 1, 2, 8];

/// Blocks for each thread if the model sees no reason for others. One thread alone waits for nobody, and
/// each block copies its rows of A.
fn usual_blocks(threads: usize) -> usize {
    if threads == 1 { 1 } else { BLOCKS[0] }
}

/// Multiply-adds of a block at least: about 10 us, below which help costs more than it brings.
const LEAST_WORK: usize = 1 << 19;

/// Every configuration a product can have here, the best by the model first.
///
/// The list is never empty, and its first element is what is used without a search.
pub(super) fn ranked(shape: &Shape, machine: &Machine, threads: usize) -> Vec<CpuConfig> {
    let mut all: Vec<CpuConfig> = candidates(shape, machine).collect();
    let cost = |config: &CpuConfig| cost(config, shape, machine, threads);
    // A stable order: of equals the usual comes first.
    all.sort_by(|a, b| cost(a).total_cmp(&cost(b)));
    let mut seen = HashSet::new();
    all.retain(|c| seen.insert((c.layout, c.tile, Plan::new(c, shape, threads))));
    all
}

/// The first of [`ranked`].
pub(super) fn default(shape: &Shape, machine: &Machine, threads: usize) -> CpuConfig {
    let cost = |config: &CpuConfig| cost(config, shape, machine, threads);
    let best = candidates(shape, machine).min_by(|a, b| cost(a).total_cmp(&cost(b)));
    best.expect("there is a usual configuration for every shape")
}

fn candidates(shape: &Shape, machine: &Machine) -> impl Iterator<Item = CpuConfig> {
    let &Shape { m, k, sum, b, .. } = shape;
    // Deeper products are summed elsewhere.
    let once = shape.once && k <= LONG / sum;
    let layouts = match b {
        Right::Rows => [Some(Layout::Rows), Some(Layout::Panels)],
        Right::Packed | Right::Columns => [None, Some(Layout::Panels)],
    };
    let depths = depths(sum);
    let twice = move |i: usize| depths[..i].contains(&depths[i]);
    // More columns than A has are memory for nothing, and so are more rows.
    let enough = depths.into_iter().filter(|&d| d >= k).min();
    let [short, long] = usual_depths(sum, machine);
    let usual = if k <= short { short } else { long };
    let useful = move |d: usize| {
        (!once || d >= k) && (d == usual || enough.is_none_or(|enough| d <= enough))
    };
    let rows = ROWS.into_iter().filter(move |&rows| rows == USUAL_ROWS || rows < m + 32);
    let tiles = rows.flat_map(move |rows| {
        let some = (0..depths.len()).filter(move |&i| !twice(i) && useful(depths[i]));
        some.map(move |i| TileSize { rows, depth: depths[i] })
    });
    let most = Target::Cpu.max_shared_bytes() as usize;
    let tiles = tiles.filter(move |tile| own_bytes(*tile, tile.depth, sum) <= most);
    tiles.flat_map(move |tile| {
        let layouts = layouts.into_iter().flatten();
        layouts.flat_map(move |layout| BLOCKS.map(|blocks| CpuConfig { layout, tile, blocks }))
    })
}

/// How C is cut into blocks by a configuration.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Plan {
    /// Rows and panels of a block.
    pub(super) rows: usize,
    pub(super) panels: usize,
    /// Blocks along the columns and rows of C.
    pub(super) grid: (usize, usize),
}

impl Plan {
    /// For a product that is not empty, and as many threads.
    pub(super) fn new(config: &CpuConfig, shape: &Shape, threads: usize) -> Plan {
        let &Shape { batch, m, n, k, .. } = shape;
        let all = n.div_ceil(PANEL);
        // Strips of rows as even as they get in steps of the least number of sums.
        let strips = m.div_ceil(config.tile.rows);
        // As many as threads share evenly, if there are more strips than threads.
        let strips =
            if batch == 1 && strips > threads { strips.next_multiple_of(threads) } else { strips };
        let rows = m.div_ceil(strips).next_multiple_of(4);
        let strips = m.div_ceil(rows);
        let work = m.saturating_mul(n).saturating_mul(k).saturating_mul(batch) / LEAST_WORK;
        let blocks = work.clamp(1, config.blocks * threads);
        let cuts = blocks.div_ceil(strips.saturating_mul(batch)).min(all);
        let panels = all.div_ceil(cuts);
        Plan { rows, panels, grid: (all.div_ceil(panels), strips) }
    }
}

/// Bytes of sums that a core multiplies and adds in a cycle: a vector of 64 or two of 32.
const FMA: f64 = 64.0;
/// Bytes a core reads in a cycle from beyond its own caches: 100 GB/s at 3.6 GHz.
const AFAR: f64 = 28.0;
/// How much of such reading the arithmetic beside it does not cover.
const UNCOVERED: f64 = 0.25;
/// Bytes of reading from memory for each cycle that the arithmetic beside it does not cover.
const FAR: f64 = 10.0;
/// Bytes it copies in a cycle from there to its own cache.
const COPY: f64 = 16.0;
/// Bytes it moves in a cycle from memory and back while it does nothing else.
const MEMORY: f64 = 8.0;
/// Bytes a core reads in a cycle from beyond its own caches in pieces of a panel's width, which are not
/// foreseen.
const SCATTERED: f64 = 5.6;
/// Bytes of a page of memory.
const PAGE: usize = 4096;
/// Bytes that all cores together move in a cycle from memory and back if no cache holds them.
const FAR_MEMORY: f64 = 4.0;
/// Cycles that a row of a panel costs if rows of B are pages apart: misses of the first-level TLB, most of
/// them covered.
const PAGES: f64 = 2.0;

/// Cycles that a product takes, roughly: what counts is the order of configurations.
fn cost(config: &CpuConfig, shape: &Shape, machine: &Machine, threads: usize) -> f64 {
    let &Shape { batch, m, n, k, sum, b, .. } = shape;
    let (plan, tile) = (Plan::new(config, shape, threads), config.tile);
    let ((across, strips), f) = (plan.grid, |x: usize| x as f64);
    let last = m.saturating_sub((strips - 1) * plan.rows).next_multiple_of(4);
    let rows = f((strips - 1) * plan.rows + last);
    // Bytes of B as it is read, and multiply-adds of a row of A.
    let far = is_far(shape, machine);
    let right = f(right_bytes(shape));
    let arithmetic = rows * right / FMA;
    // Each strip reads all of B.
    let reads = f(strips) * right * if far { 1.0 / FAR } else { UNCOVERED / AFAR };
    let copies = f(across) * rows * f(k) * f(sum) / COPY;
    let passes = f(k.div_ceil(tile.depth));
    let sums = (passes - 1.0) * 2.0 * f(m) * f(n) * f(sum) / AFAR;
    let layout = match config.layout {
        Layout::Panels if b == Right::Packed => 0.0,
        // Memory is no faster for several threads.
        Layout::Panels if 2.0 * right > f(machine.l3) => {
            2.0 * right / FAR_MEMORY * f(threads.min(across * strips * batch))
        }
        Layout::Panels => 2.0 * right / MEMORY,
        Layout::Rows => {
            // The first rows of each strip read B as it is; a row may begin a page.
            let apart = f((n * sum).min(PAGE)) / f(PAGE);
            let pages = f(strips) * right / f(PANEL * sum) * PAGES * apart;
            let far = right > f(machine.l2_per_core());
            pages + if far { f(strips) * right / SCATTERED } else { 0.0 }
        }
    };
    // A tile and a panel that do not fit half of the core's cache are read from afar by each group.
    let own = own_bytes(tile, tile.depth.min(k), sum);
    let lacking = f(own.saturating_sub(machine.l2_per_core() / 2)) / f(own);
    let spilled = lacking * arithmetic;
    let cycles = f(batch) * (arithmetic + reads + copies + sums + layout + spilled);
    let usual_tile = usual_depths(sum, machine).contains(&tile.depth)
        && tile.rows == usual_rows(shape, tile.depth, machine);
    let unusual = if usual_tile && config.blocks == usual_blocks(threads) { 0.0 } else { MARGIN };
    divided(cycles, across * strips * batch, threads) * (1.0 + unusual)
}

#[cfg(test)]
mod tests;
