//! What a warp of [`attention_parts`](super::attention_parts) has in memory and in registers.

use std::marker::PhantomData;

use kernelsmith::Target;
use kernelsmith::lang::stage::target;
use kernelsmith::prelude::*;

use super::config::HEAD_DIMENSIONS;
use super::decode::{ROWS, part_len, tile};
use super::key_sums::{KEYS, lane_of_key, warp_sums};
use super::words::Words;

/// Columns of outputs that a lane sums at a time, of one row or several: 24 vectors of AVX-512. Of rows that
/// are wider it sums one at a time, up to `MOST` columns.
const SUMS: usize = 12;

/// Columns of a lane at most: of the widest heads, by warps of 32.
const MOST: usize = HEAD_DIMENSIONS[HEAD_DIMENSIONS.len() - 1] / 32;

/// Tiles in the block's memory.
#[derive(Clone, Copy)]
pub(super) struct Tiles<W: Words> {
    /// `rows x width`.
    pub(super) queries: Shared<W>,
    /// `rows x (dv + 2)`: sums, at last the greatest score and the sum of weights. Sums are those of the
    /// first columns of words, then those of the second ones.
    pub(super) outputs: Shared<f32>,
    /// `rows x tile()`: scores, of each lane's keys.
    pub(super) scores: Shared<f32>,
    /// `rows x tile()` elements: of each lane's keys.
    pub(super) weights: Shared<W>,
}

impl<W: Words> Tiles<W> {
    #[track_caller]
    pub(super) fn new(rows: usize, d: usize, dv: usize) -> Tiles<W> {
        Tiles {
            queries: shared(rows * d / W::LEN),
            outputs: shared(rows * part_len(dv)),
            scores: shared(rows * tile()),
            weights: shared(rows * tile() / W::LEN),
        }
    }
}

/// Whether the kernel is staged for a CPU.
fn on_cpu() -> bool {
    target() == Target::Cpu
}

/// Rows of a tile.
#[derive(KernelValue, Clone, Copy)]
pub(super) struct Run {
    /// The first and the last of K and V.
    pub(super) first: Val<usize>,
    pub(super) last: Val<usize>,
    /// The first of K in the next tile.
    pub(super) next: Val<usize>,
}

/// The columns of a head in words, of which a lane has every so manieth.
#[derive(Clone, Copy)]
pub(super) struct Columns<W> {
    d: usize,
    /// Words.
    width: usize,
    /// A lane's, at most.
    count: usize,
    words: PhantomData<W>,
}

impl<W: Words> Columns<W> {
    pub(super) fn new(d: usize) -> Columns<W> {
        let width = d / W::LEN;
        Columns { d, width, count: width.div_ceil(warp_size()), words: PhantomData }
    }

    /// Rows whose sums are in registers at a time.
    pub(super) fn rows(&self) -> usize {
        (SUMS / (self.count * W::LEN)).max(1)
    }

    /// Where the sum of a lane's column `j` of its word `i` is, counting from row `r`.
    fn sum(&self, r: usize, i: usize, j: usize) -> usize {
        (r * self.count + i) * W::LEN + j
    }
}

#[device]
impl<W: Words> Columns<W> {
    /// A lane's word, which there may not be.
    fn at(&self, #[comptime] i: usize) -> usize {
        thread_idx_x() + i * warp_size()
    }

    /// Where a column of a row is in a tile of outputs.
    pub(super) fn place(&self, column: usize) -> usize {
        if W::LEN == 1 {
            column
        } else if column < self.d {
            column % W::LEN * self.width + column / W::LEN
        } else {
            column
        }
    }

    /// This lane's part of the products of a row of K with each row of queries.
    pub(super) fn dots<K: Num>(
        &self,
        #[comptime] rows: usize,
        queries: Shared<W>,
        key: &[K],
    ) -> [f32; ROWS] {
        let mut dots = [0.0; ROWS];
        for i in unroll(0..self.count) {
            let e = self.at(i);
            if e < self.width {
                let x = key[e].cast::<W>();
                for r in unroll(0..rows) {
                    dots[r] = W::multiply_add(x, queries[r * self.width + e], dots[r]);
                }
            }
        }
        dots
    }

    /// The scores of [`KEYS`] rows of K from `first` on, behind `last` those of that row; see [`warp_sums`].
    pub(super) fn scores<K: Num>(
        &self,
        #[comptime] rows: usize,
        tiles: Tiles<W>,
        k: &View<K, 2>,
        v: &View<K, 2>,
        first: usize,
        last: usize,
    ) -> [f32; ROWS] {
        if on_cpu() {
            // A loop that stays one: its few loads follow memory line by line, which the processor foresees.
            // Of eight rows at once each load would be a page behind its last.
            let partial = shared::<f32>(rows * KEYS * warp_size());
            for j in range(0, KEYS) {
                let dots = self.row::<K>(rows, tiles, k, v, (first + j).min(last));
                for r in unroll(0..rows) {
                    partial[(r * KEYS + j) * warp_size() + thread_idx_x()] = dots[r];
                }
            }
            warp_sums(|j| {
                array(|r| {
                    if r < rows {
                        partial[(r * KEYS + j) * warp_size() + thread_idx_x()]
                    } else {
                        0.0
                    }
                })
            })
        } else {
            warp_sums(|j| self.row::<K>(rows, tiles, k, v, (first + j).min(last)))
        }
    }

    /// This lane's part of the scores of a row of K, while the same row of V is on its way.
    fn row<K: Num>(
        &self,
        #[comptime] rows: usize,
        tiles: Tiles<W>,
        k: &View<K, 2>,
        v: &View<K, 2>,
        row: usize,
    ) -> [f32; ROWS] {
        self.ask(v, row);
        self.dots::<K>(rows, tiles.queries, k.outer(row).contiguous())
    }

    /// Asks for a row that is read soon. The memory of CPUs takes more such requests than it takes loads; GPUs
    /// have other warps to go on with.
    fn ask<K: Num>(&self, x: &View<K, 2>, row: usize) {
        if on_cpu() {
            for i in unroll(0..self.count) {
                x.prefetch([row, self.at(i)]);
            }
        }
    }

    /// Adds the values of a run by their weights to the outputs of the rows from `some.0` to
    /// `some.1`, after multiplying those by their `factors`. Meanwhile the next rows are
    /// asked for, of K, which may be in another page.
    pub(super) fn add_values<K: Num>(
        &self,
        #[comptime] some: (usize, usize),
        tiles: Tiles<W>,
        factors: [f32; ROWS],
        v: &View<K, 2>,
        run: Run,
        next_k: &View<K, 2>,
    ) {
        let (first, last) = (run.first, run.last);
        let (width, len) = (self.width, part_len(self.d));
        let mut sums = [0.0; MOST];
        for i in unroll(0..self.count) {
            let e = self.at(i);
            if e < width {
                for r in unroll(some.0..some.1) {
                    for j in unroll(0..W::LEN) {
                        let sum = tiles.outputs[r * len + j * width + e] * factors[r];
                        sums[self.sum(r - some.0, i, j)] = sum;
                    }
                }
            }
        }
        for key in (0..last + 1 - first).step_by(W::LEN) {
            // What a last word lacks are zeros, as are the weights of no keys.
            if some.0 == 0 {
                for j in unroll(0..W::LEN) {
                    self.ask(next_k, run.next + key + j);
                }
            }
            let rows: Vec<_> =
                (0..W::LEN).map(|j| v.outer((first + key + j).min(last)).contiguous()).collect();
            for i in unroll(0..self.count) {
                let e = self.at(i);
                if e < width {
                    let words: Vec<_> = (0..W::LEN)
                        .map(|j| {
                            let word = rows[j][e].cast::<W>();
                            if j == 0 {
                                word
                            } else {
                                Val::<W>::select(first + key + j <= last, word, Val::<W>::zero())
                            }
                        })
                        .collect();
                    let words = W::turned(&words);
                    for r in unroll(some.0..some.1) {
                        let of_tile = key % tile() / warp_size() * warp_size() + lane_of_key(key);
                        let at = (r * tile() + of_tile) / W::LEN;
                        let weight = tiles.weights[at];
                        for j in unroll(0..W::LEN) {
                            let at = self.sum(r - some.0, i, j);
                            sums[at] = W::multiply_add(words[j], weight, sums[at]);
                        }
                    }
                }
            }
        }
        for i in unroll(0..self.count) {
            let e = self.at(i);
            if e < width {
                for r in unroll(some.0..some.1) {
                    for j in unroll(0..W::LEN) {
                        tiles.outputs[r * len + j * width + e] = sums[self.sum(r - some.0, i, j)];
                    }
                }
            }
        }
    }
}
