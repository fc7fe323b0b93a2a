//! How an attention is cut on the CPU: a cost model of caches, and the configurations it ranks.
//!
//! Everything here is a pure function of shape, element sizes and [`Machine`]. The first configuration of
//! [`ranked`] is what attention takes when nobody has searched; a search measures some of the others.

use kernelsmith::{Machine, Target};

use super::decode;
use crate::tuning::divided;

/// What the model knows of an attention.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Shape {
    /// Sequences.
    pub(super) batch: usize,
    /// Heads of keys.
    pub(super) kv_heads: usize,
    /// Heads of queries to one of keys.
    pub(super) group: usize,
    /// Queries of a sequence.
    pub(super) queries: usize,
    /// Keys of a sequence.
    pub(super) keys: usize,
    /// Keys that a query sees at most.
    pub(super) seen: usize,
    /// Columns of queries and keys.
    pub(super) dimension: usize,
    /// Columns of values and outputs.
    pub(super) value_dimension: usize,
    /// Bytes of an element of K and V.
    pub(super) element: usize,
    /// Elements that are multiplied together.
    pub(super) word: usize,
    /// Whether query `i` sees keys up to `i + keys - queries` only.
    pub(super) causal: bool,
}

/// How an attention is done.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CpuConfig {
    /// Many queries: a thread each, all keys in a block.
    Rows(RowsTile),
    /// Few queries: keys are divided among blocks.
    Parts {
        /// Blocks for each thread.
        blocks: usize,
    },
}

/// What a block of [`attention_rows`](super::attention_rows) has at a time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RowsTile {
    /// Queries, a multiple of 32: those of all warps pass over the same keys before the next ones are read.
    pub queries: usize,
    /// Keys, a multiple of 12.
    pub keys: usize,
}

impl RowsTile {
    /// What does for most shapes on most machines.
    pub const USUAL: RowsTile = RowsTile { queries: WARP, keys: 96 };

    /// Bytes of a block's own memory: queries, outputs and scores.
    pub const fn own_bytes(self, dimension: usize, values: usize, word: usize) -> usize {
        4 * self.queries * (dimension / word + values + self.keys)
    }
}

/// Lanes of a warp.
const WARP: usize = 32;

/// Queries of a sequence that are always each a piece of work of its own.
const FEW: usize = 4;

/// And up to which it may pay: a warp's lanes have no more in common.
const SOME: usize = WARP;

/// Blocks of few queries for each thread.
const BLOCKS: [usize; 4] = [USUAL_BLOCKS, 4, 2, 16];
pub(super) const USUAL_BLOCKS: usize = 8;

/// What a configuration must be better by to come before the usual one: each tile is a kernel to be compiled,
/// and the model is no better than this.
const MARGIN: f64 = 0.05;

/// Every configuration that an attention can have here, the best by the model first; never empty.
pub(super) fn ranked(shape: &Shape, machine: &Machine, threads: usize) -> Vec<CpuConfig> {
    let mut all: Vec<CpuConfig> = candidates(shape).collect();
    let cost = |config: &CpuConfig| cost(config, shape, machine, threads);
    // A stable order: of equals the usual comes first.
    all.sort_by(|a, b| cost(a).total_cmp(&cost(b)));
    all
}

/// The first of [`ranked`].
pub(super) fn default(shape: &Shape, machine: &Machine, threads: usize) -> CpuConfig {
    let cost = |config: &CpuConfig| cost(config, shape, machine, threads);
    let best = candidates(shape).min_by(|a, b| cost(a).total_cmp(&cost(b)));
    best.expect("there is a configuration for every shape")
}

fn candidates(shape: &Shape) -> impl Iterator<Item = CpuConfig> {
    let &Shape { queries: m, seen, dimension: d, value_dimension: dv, word, .. } = shape;
    let rows = (m > FEW).then_some([WARP, 2 * WARP, 4 * WARP]).into_iter().flatten();
    // More queries or keys than there are, are memory for nothing.
    let rows = rows.filter(move |&queries| queries < m + WARP);
    let tiles = rows.flat_map(|queries| {
        [RowsTile::USUAL.keys, 48, 144, 192, 24].map(|keys| RowsTile { queries, keys })
    });
    let tiles = tiles.filter(move |&tile| {
        let fits = tile.own_bytes(d, dv, word) <= Target::Cpu.max_shared_bytes() as usize;
        tile == RowsTile::USUAL || fits && tile.keys < seen + RowsTile::USUAL.keys
    });
    let parts = (m <= SOME).then_some(BLOCKS).into_iter().flatten();
    tiles.map(CpuConfig::Rows).chain(parts.map(|blocks| CpuConfig::Parts { blocks }))
}

/// How few queries are cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Parts {
    /// Blocks that read the same keys.
    pub(super) pieces: usize,
    /// Rows of a block, each a query of a head.
    pub(super) rows: usize,
    /// Parts of the keys.
    pub(super) splits: usize,
    /// Keys of a part.
    pub(super) chunk: usize,
}

/// Keys of a part at least: some microseconds of reading.
const LEAST_KEYS: usize = 256;

impl Parts {
    /// For `pairs` of a sequence and a head of keys, `queries` of all heads that share one, `keys` keys, and
    /// as many blocks as are `wanted`.
    pub(super) fn new(pairs: usize, queries: usize, keys: usize, wanted: usize) -> Parts {
        let pieces = queries.div_ceil(decode::ROWS);
        let rows = queries.div_ceil(pieces);
        let splits = wanted.div_ceil(pairs * pieces).clamp(1, keys.div_ceil(LEAST_KEYS).max(1));
        Parts { pieces, rows, splits, chunk: keys.div_ceil(splits) }
    }
}

/// Bytes of vectors that a core multiplies and adds in a cycle.
const FMA: f64 = 64.0;
/// Cycles of an exponential and what belongs to it, for a vector.
const SOFTMAX: f64 = 20.0;
/// Cycles that a tile costs a warp besides its keys.
const TILE: f64 = 150.0;
/// Cycles of a key's sum over the lanes and of its weight, for a row of few queries.
const SUM: f64 = 11.0;
/// Cycles of a block of few queries besides its keys.
const BLOCK: f64 = 4e3;
/// Bytes a core reads in a cycle from the third-level cache.
const AFAR: f64 = 28.0;
/// Bytes that a core, and all cores together, read in a cycle from memory.
const MEMORY: f64 = 8.0;
const ALL_MEMORY: f64 = 14.0;

/// Cycles that an attention takes, roughly: what counts is the order of configurations.
fn cost(config: &CpuConfig, shape: &Shape, machine: &Machine, threads: usize) -> f64 {
    let (cycles, blocks) = match config {
        CpuConfig::Rows(tile) => rows_cost(*tile, shape, machine, threads),
        CpuConfig::Parts { blocks } => parts_cost(*blocks, shape, machine, threads),
    };
    let usual = match config {
        CpuConfig::Rows(tile) => *tile == RowsTile::USUAL,
        CpuConfig::Parts { blocks } => *blocks == USUAL_BLOCKS,
    };
    divided(cycles, blocks, threads) * if usual { 1.0 } else { 1.0 + MARGIN }
}

/// Cycles and blocks of many queries.
fn rows_cost(tile: RowsTile, shape: &Shape, machine: &Machine, threads: usize) -> (f64, usize) {
    let &Shape { batch, kv_heads, group, queries: m, dimension: d, element, word, .. } = shape;
    let (dv, f) = (shape.value_dimension, |x: usize| x as f64);
    let (heads, warps) = (batch * kv_heads * group, m.div_ceil(WARP));
    let blocks = heads * m.div_ceil(tile.queries);
    let seen = seen_by(shape, tile.queries);
    let vectors = f(4 * WARP) / FMA;
    let key = vectors * (f(d + dv) / f(word) + SOFTMAX);
    // Outputs are read and written once a tile, and keys are taken twelve at a time.
    let tiles = (seen / f(tile.keys)).max(1.0) * (2.0 * vectors * f(dv) + TILE);
    let arithmetic = f(heads * warps) * (seen * key + tiles);
    // For eight columns of outputs the weights and a line of each row of V pass by: the L1 cache holds them, or
    // they come from the next.
    let pass = 4 * WARP * tile.keys / word + machine.line * tile.keys;
    let spilled = 0.5 * lacking(pass, machine.l1);
    let own = tile.own_bytes(d, dv, word) + tile.keys * (d + dv) * element;
    let afar = lacking(own, machine.l2_per_core() / 2);
    let bytes = f(blocks) * seen * f((d + dv) * element);
    let read = reading(bytes, shape, machine, threads);
    let computed = arithmetic * (1.0 + spilled + afar);
    // Reading is covered by arithmetic, but not quite.
    (computed.max(read) + 0.1 * computed.min(read), blocks)
}

/// Cycles and blocks of few queries.
fn parts_cost(blocks: usize, shape: &Shape, machine: &Machine, threads: usize) -> (f64, usize) {
    let &Shape { batch, kv_heads, group, queries: m, keys, dimension: d, element, word, .. } =
        shape;
    let (dv, f) = (shape.value_dimension, |x: usize| x as f64);
    let pairs = batch * kv_heads;
    let parts = Parts::new(pairs, group * m, keys, blocks * threads);
    let seen = seen_by(shape, m);
    let blocks = pairs * parts.pieces * parts.splits;
    let row = f(4 * (d + dv)) / FMA / f(word) + SUM;
    let each = f(parts.rows) * row + 2.0 * f((d + dv) * element) / FMA;
    let computed = f(pairs * parts.pieces) * seen * each + f(blocks) * BLOCK;
    let bytes = f(pairs * parts.pieces) * seen * f((d + dv) * element);
    let read = reading(bytes, shape, machine, threads);
    (computed.max(read) + 0.1 * computed.min(read), blocks)
}

/// Keys that pass by a block of so many queries, on average.
fn seen_by(shape: &Shape, queries: usize) -> f64 {
    let &Shape { queries: m, keys, seen, causal, .. } = shape;
    if !causal {
        return keys as f64;
    }
    // The last query of a block in the middle sees up to here, its first begins `seen` before that.
    let end = keys.saturating_sub(m / 2) + queries.min(m) / 2;
    end.min(keys).min(seen + queries).max(1) as f64
}

/// What part of `bytes` does not fit.
fn lacking(bytes: usize, cache: usize) -> f64 {
    bytes.saturating_sub(cache) as f64 / bytes.max(1) as f64
}

/// Cycles of all threads together to read so many bytes of K and V, by where those lie.
fn reading(bytes: f64, shape: &Shape, machine: &Machine, threads: usize) -> f64 {
    let &Shape { batch, kv_heads, keys, dimension: d, value_dimension: dv, element, .. } = shape;
    let head = keys * (d + dv) * element;
    // Threads work at heads next to each other, or at one.
    let at_once = head.saturating_mul(threads.min(batch * kv_heads));
    if head <= machine.l2_per_core() / 2 {
        0.0
    } else if at_once <= machine.l3 {
        bytes / AFAR
    } else {
        bytes / MEMORY.min(ALL_MEMORY / threads as f64)
    }
}

#[cfg(test)]
mod tests;
