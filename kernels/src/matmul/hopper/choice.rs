//! Which way a product is computed on Hopper: what the model finds fastest.

use super::config::{Config, GROUP, Product, WIDTHS};

/// Rows of tiles that may be taken together, the usual number first.
const GROUPS: [usize; 4] = [GROUP, 16, 4, 2];

/// Parts of the depth that are summed by themselves.
const PARTS: [usize; 8] = [1, 2, 3, 4, 6, 8, 12, 16];

/// Every way there is a kernel for, the one that the model finds fastest first: of equals, the one whose
/// blocks read the fewest rows and columns at a time. None where the factors lie as no kernel takes them.
pub fn ranked(product: &Product, multiprocessors: usize) -> Vec<Config> {
    let mut all: Vec<(f64, usize, Config)> = every()
        .filter(|config| is_useful(config, product, multiprocessors))
        .flat_map(|config| GROUPS.map(|group| Config { group, ..config }))
        .filter(|config| config.check(product).is_ok())
        .filter(|config| config.group == GROUP || has_order(config, product, multiprocessors))
        .map(|config| {
            let clocks = config.clocks(product, multiprocessors);
            (clocks, config.at_once(product, multiprocessors), config)
        })
        .collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    all.into_iter().map(|(_, _, config)| config).collect()
}

/// The first of [`ranked`]. There is one for factors along k, and for those of 16 bits.
pub fn choose(product: &Product, multiprocessors: usize) -> Option<Config> {
    ranked(product, multiprocessors).into_iter().next()
}

/// Steps that a block's share of a tile's depth has at least.
const SHORTEST_SHARE: usize = 4;

/// Whether it divides the depth only where multiprocessors are idle: more parts than that only cost.
fn is_useful(config: &Config, product: &Product, multiprocessors: usize) -> bool {
    if config.streamed {
        let blocks = (multiprocessors / config.cluster).max(1);
        let tiles = config.streamed_tiles(product, multiprocessors);
        return tiles * product.depth.div_ceil(128) >= SHORTEST_SHARE * blocks;
    }
    let whole = Config { parts: 1, ..*config };
    config.parts == 1 || whole.tiles(product) * config.parts <= 2 * multiprocessors
}

/// Whether the order of tiles makes a difference: they do not run all at once, and there are more rows of
/// them than one group has.
fn has_order(config: &Config, product: &Product, multiprocessors: usize) -> bool {
    let smaller = config.group.min(GROUP);
    config.tiles(product) > multiprocessors && config.tiles_down(product) > smaller
}

/// Every way there could be, in the usual order of tiles, legal for a product or not.
fn every() -> impl Iterator<Item = Config> {
    let widths = WIDTHS.into_iter().rev().map(|(width, _)| plain(width));
    let clusters = widths.flat_map(|c| [2, 1].map(|cluster| Config { cluster, ..c }));
    let parts = clusters.flat_map(|c| PARTS.map(|parts| Config { parts, ..c }));
    let ways = parts.flat_map(|c| {
        [(false, false), (false, true), (true, false)].map(|(exchanged, pingpong)| Config {
            exchanged,
            pingpong,
            ..c
        })
    });
    ways.flat_map(|c| [false, true].map(|streamed| Config { streamed, ..c }))
}

/// A tile of `width` columns and no more.
pub(super) const fn plain(width: usize) -> Config {
    Config {
        width,
        cluster: 1,
        parts: 1,
        streamed: false,
        exchanged: false,
        pingpong: false,
        group: GROUP,
    }
}

/// The width of tiles for groups of rows, of which `product` is a batch of average ones.
pub fn grouped_width(product: &Product, multiprocessors: usize) -> usize {
    let clocks = |width| plain(width).clocks(product, multiprocessors);
    if clocks(256) < clocks(128) { 256 } else { 128 }
}

/// Blocks of a cluster for pairs of products, `product` each: tiles of both, 128 wide, are as one of 256.
pub fn gated_cluster(product: &Product, multiprocessors: usize) -> usize {
    let both = Product { n: 2 * product.n, ..*product };
    let clocks = |cluster| Config { cluster, ..plain(256) }.clocks(&both, multiprocessors);
    if clocks(2) < clocks(1) { 2 } else { 1 }
}

/// Those of [`ranked`] for 8-bit floats with scales whose sums are promoted: tiles of 128 x 128, in which a
/// thread has room for sums and totals, or narrow ones of the transposes.
pub fn promoted(product: &Product, multiprocessors: usize) -> Vec<Config> {
    let is_one = |c: &Config| !c.pingpong && !c.streamed && (c.exchanged || c.width == 128);
    ranked(product, multiprocessors).into_iter().filter(is_one).collect()
}

#[cfg(test)]
mod tests;
