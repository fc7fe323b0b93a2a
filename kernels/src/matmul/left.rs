//! The CPU's matmul: a block's piece of A.

use kernelsmith::prelude::*;

use super::pack::PANEL;
use super::panels::Form;
use super::products::{Products, Words};

/// Rows of a tile in memory beyond its own: the last sums may reach there.
pub(super) const BEYOND: usize = 8;

/// Words by which rows of a tile are further apart than they are long: a power of two apart they would
/// share a few sets of the cache.
pub(super) const APART: usize = 16;

/// A word of A.
type Word<D> = <<D as Products>::Left as Words>::Word;

/// A block's piece of A, in its own memory, in words: as far apart are its rows and columns. Copied along
/// whichever are contiguous in A.
#[derive(Clone, Copy)]
pub(super) struct Tile<D: Products> {
    pub(super) data: Shared<Word<D>>,
    /// What the sums of each row begin with, where B is moved.
    pub(super) starts: Option<Shared<D::Sum>>,
    pub(super) columns: bool,
    /// Rows in memory.
    pub(super) tall: usize,
    pub(super) stride: usize,
    pub(super) len: usize,
    /// Whether rows of A are whole words.
    whole: bool,
}

impl<D: Products> Tile<D> {
    #[track_caller]
    pub(super) fn new(form: Form) -> Tile<D> {
        let columns = form.a_columns && !form.a_rows;
        let (tall, depth) = (form.tile.rows + BEYOND, form.tile.depth);
        let stride = if columns { tall } else { depth + APART };
        let len = if columns { stride * depth } else { stride * tall };
        let starts = D::MOVES.then(|| shared(tall));
        Tile { data: shared(len), starts, columns, tall, stride, len, whole: form.whole }
    }
}

#[device]
impl<D: Products> Tile<D> {
    /// Copies `rows` by `depth` words of A from `origin` on, and zeros for the rows up to the next
    /// multiple of four, since sums are taken of so many at a time, and for what words lack.
    pub(super) fn fill<A: Num>(
        &self,
        a: &View<A, 2>,
        origin: (usize, usize),
        rows: usize,
        depth: usize,
    ) {
        if self.columns {
            self.fill_columns(a, origin, rows, depth);
        } else {
            self.fill_rows(a, origin, rows, depth);
        }
    }

    fn fill_columns<A: Num>(
        &self,
        a: &View<A, 2>,
        origin: (usize, usize),
        rows: usize,
        depth: usize,
    ) {
        let (lane, data, stride) = (thread_idx_x(), self.data, self.stride);
        for p in 0..depth {
            let first = (origin.1 + p) * D::Left::LEN;
            for i in (lane..rows).step_by(PANEL) {
                let row = origin.0 + i;
                data[p * stride + i] =
                    D::Left::join(|e| element_or_zero(a, row, first + e, self.whole));
            }
            for i in (lane + rows..(rows + 3) / 4 * 4).step_by(PANEL) {
                data[p * stride + i] = Val::<Word<D>>::zero();
            }
        }
    }

    fn fill_rows<A: Num>(&self, a: &View<A, 2>, origin: (usize, usize), rows: usize, depth: usize) {
        let (lane, data, stride) = (thread_idx_x(), self.data, self.stride);
        // Words are what lies in memory: no need to put them together.
        let elements = data.cast::<<D::Left as Words>::Element>();
        let first = origin.1 * D::Left::LEN;
        let long = depth * D::Left::LEN;
        let inside = if self.whole { long } else { long.min(a.shape(1) - first) };
        for i in 0..rows {
            let row = a.outer(origin.0 + i);
            let start = i * (stride * D::Left::LEN);
            for p in (lane..inside).step_by(PANEL) {
                elements[start + p] = row[[first + p]].cast::<<D::Left as Words>::Element>();
            }
            if !self.whole {
                for p in (lane + inside..long).step_by(PANEL) {
                    elements[start + p] = Val::<<D::Left as Words>::Element>::zero();
                }
            }
        }
        for i in rows..(rows + 3) / 4 * 4 {
            for p in (lane..depth).step_by(PANEL) {
                data[i * stride + p] = Val::<Word<D>>::zero();
            }
        }
    }

    /// Computes what sums begin with, after a barrier, and ends with one.
    pub(super) fn correct(&self, rows: usize, depth: usize) {
        let (lane, data, stride) = (thread_idx_x(), self.data, self.stride);
        if let Some(starts) = self.starts {
            let high = (rows + 3) / 4 * 4;
            if self.columns {
                for i in (lane..high).step_by(PANEL) {
                    let mut sum = Val::<D::Sum>::zero();
                    for p in 0..depth {
                        sum = D::dot(data[p * stride + i], D::moved(), sum);
                    }
                    starts[i] = Val::<D::Sum>::zero() - sum;
                }
            } else {
                for i in 0..high {
                    let mut sum = Val::<D::Sum>::zero();
                    for p in (lane..depth).step_by(PANEL) {
                        sum = D::dot(data[i * stride + p], D::moved(), sum);
                    }
                    let sum = warp_reduce(sum, |x, y| x + y);
                    if lane == 0 {
                        starts[i] = Val::<D::Sum>::zero() - sum;
                    }
                }
            }
            barrier();
        }
    }
}

/// An element, or 0 if it lies beyond the matrix and words are not `whole`.
#[device]
pub(super) fn element_or_zero<T: Num, E: Num>(
    x: &View<T, 2>,
    row: usize,
    column: usize,
    #[comptime] whole: bool,
) -> E {
    if whole {
        x[[row, column]].cast::<E>()
    } else if row < x.shape(0) && column < x.shape(1) {
        x[[row, column]].cast::<E>()
    } else {
        Val::<E>::zero()
    }
}
