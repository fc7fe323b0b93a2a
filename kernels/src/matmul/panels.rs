//! The CPU's matmul: a warp's sums stay in vector registers, B comes in panels as wide as a warp.

use kernelsmith::prelude::*;

use super::epilogue::{Epilogue, Steps};
use super::left::{APART, BEYOND, Tile, element_or_zero};
use super::pack::PANEL;
use super::products::{Products, Summed, Words};

/// Words along k whose products take longer than memory does to bring a line: 24 cycles each.
const FAR: usize = 128;

/// What of a product is known when its kernel is compiled.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Form {
    /// Whether elements of a row of A are next to each other.
    pub a_rows: bool,
    /// Whether elements of a column of A are.
    pub a_columns: bool,
    /// How B lies in memory.
    pub b: Layout,
    /// Whether columns of A and rows of B are whole words.
    pub whole: bool,
    /// What the epilogue does.
    pub steps: Steps,
    /// What a block copies of A.
    pub tile: TileSize,
}

/// The piece of A that a block copies to its own memory at a time; at most.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TileSize {
    /// Its rows, a multiple of four.
    pub rows: usize,
    /// Words of its rows: its columns, where a word is one element.
    pub depth: usize,
}

impl TileSize {
    /// Words in memory.
    pub const fn elements(&self) -> usize {
        (self.rows + BEYOND) * (self.depth + APART)
    }
}

/// How B lies in memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Layout {
    /// In panels, by [`pack_panels`](super::pack_panels): `batch x panels x (words * 32)`.
    Panels,
    /// As it is, `batch x k x n`: a block copies a panel to its own memory while it multiplies the first rows.
    Rows,
}

/// `C = map(alpha * A * B + beta * C + bias) + residual` of each matrix of a batch, `A: m x k` and
/// `C: m x n`, with products as `D` takes them. A block is one warp and computes `rows` (at most a
/// tile's) by `panels` panels of C. Of A it copies a tile's columns of words at a time to its own memory; C,
/// if there are more, holds the sums meanwhile.
///
/// A thread sums up to 12 rows of one column: a warp's 12 x 32 sums are 24 registers of AVX-512, with
/// 2 for B and one for a word of A, of which each is used for 2 vectors. Of f64 it is half the rows.
#[kernel(
    block = PANEL,
    requires = (
        a.shape(1) == c.shape(1),
        b.stride(2) == 1,
        c.stride(2) == 1,
        form.a_rows * a.stride(2) == form.a_rows,
        form.a_columns * a.stride(1) == form.a_columns,
    ),
)]
pub fn matmul_panels<A: Num, B: Num, D: Products<Sum = S>, S: Num + Summed, O: Num>(
    rows: usize,
    panels: usize,
    alpha: S,
    beta: S,
    #[comptime] form: Form,
    map: impl Fn(S) -> S,
    a: &View<A, 3>,
    b: &View<B, 3>,
    bias: Option<&View<S, 3>>,
    residual: Option<&View<O, 3>>,
    c: &mut View<O, 3>,
) {
    let (lane, batch) = (thread_idx_x(), block_idx_z());
    let (a, b, c) = (a.outer(batch), b.outer(batch), c.outer(batch));
    let epilogue = Epilogue::of_batch(batch, form.steps, (alpha, beta), bias, residual, map);
    let (m, n) = (c.shape(0), c.shape(1));
    let words = (a.shape(1) + (D::Left::LEN - 1)) / D::Left::LEN;
    let (row0, panel0) = (block_idx_y() * rows, block_idx_x() * panels);
    let rows = rows.min(m - row0);
    let tile = Tile::<D>::new(form);
    let copy = match form.b {
        Layout::Panels => None,
        Layout::Rows => Some(shared::<D::Factor>(form.tile.depth * PANEL)),
    };
    for k0 in (0..words).step_by(form.tile.depth) {
        let depth = (words - k0).min(form.tile.depth);
        tile.fill(a, (row0, k0), rows, depth);
        barrier();
        tile.correct(rows, depth);
        let out = Out { c, first: k0 == 0, last: k0 + depth == words, row0, epilogue };
        for panel in panel0..(panel0 + panels).min((n + (PANEL - 1)) / PANEL) {
            let column = panel * PANEL + lane;
            if let Some(copy) = copy {
                // What a lane has written it reads itself: no barrier.
                let again = |p: usize| copy[p * PANEL + lane];
                let kept = |p: usize, b: D::Factor| {
                    copy[p * PANEL + lane] = b;
                    b
                };
                let next = if panel * PANEL + PANEL <= n {
                    let b = |p: usize| kept(p, word_of_rows::<B, D>(b, k0 + p, column, form.whole));
                    first_strip::<D, O, _>(tile, rows, depth, column, b, out)
                } else {
                    let b = |p: usize| {
                        kept(
                            p,
                            if column < n {
                                word_of_rows::<B, D>(b, k0 + p, column, form.whole)
                            } else {
                                Val::<D::Factor>::zero()
                            },
                        )
                    };
                    first_strip::<D, O, _>(tile, rows, depth, column, b, out)
                };
                strips::<D, O, _>(tile, (next, rows), depth, column, again, out);
            } else {
                let b = b.outer(panel);
                let b = |p: usize| D::factor(b[[(k0 + p) * PANEL + lane]].cast());
                strips::<D, O, _>(tile, (0, rows), depth, column, b, out);
            }
        }
        barrier();
    }
}

/// Word `p` of a column of B as it is in memory.
#[device]
fn word_of_rows<B: Num, D: Products>(
    b: &View<B, 2>,
    p: usize,
    column: usize,
    #[comptime] whole: bool,
) -> D::Factor {
    let first = p * D::Right::LEN;
    D::factor(D::Right::join(|i| element_or_zero(b, first + i, column, whole)))
}

/// Rows of a tile of A, from the first of `rows` up to the other, times one panel of B, given word by word.
/// Only what sums of this size take is compiled.
#[track_caller]
fn strips<D: Products, O: Num, F: Fn(Val<D::Sum>) -> Val<D::Sum> + Copy>(
    tile: Tile<D>,
    rows: (Val<usize>, Val<usize>),
    depth: Val<usize>,
    column: Val<usize>,
    b: impl Fn(Val<usize>) -> Val<D::Factor> + Copy,
    out: Out<D::Sum, O, F>,
) {
    if const { size_of::<D::Sum>() == 8 } {
        strips_of::<D, O, F, 6, 4, 2>(tile, rows, depth, column, b, out);
    } else {
        strips_of::<D, O, F, 12, 8, 4>(tile, rows, depth, column, b, out);
    }
}

/// `L` rows at a time, and at the end `M` or `N`: 3, 2 and 1 times as many.
#[device]
fn strips_of<
    D: Products,
    O: Num,
    F: Fn(D::Sum) -> D::Sum + Copy,
    const L: usize,
    const M: usize,
    const N: usize,
>(
    tile: Tile<D>,
    rows: (usize, usize),
    depth: usize,
    column: usize,
    b: impl Fn(usize) -> D::Factor + Copy,
    out: Out<D::Sum, O, F>,
) {
    let (mut i, rows) = rows;
    while i + M < rows {
        group::<D, O, F, L>(tile, i, depth, column, b, out);
        i += L;
    }
    if i + N < rows {
        group::<D, O, F, M>(tile, i, depth, column, b, out);
    } else if i < rows {
        group::<D, O, F, N>(tile, i, depth, column, b, out);
    }
}

/// As many rows of a tile of A as are summed at once, from its first one on, times one panel of B, each
/// word of which is asked for once; and the row behind them.
#[track_caller]
fn first_strip<D: Products, O: Num, F: Fn(Val<D::Sum>) -> Val<D::Sum> + Copy>(
    tile: Tile<D>,
    rows: Val<usize>,
    depth: Val<usize>,
    column: Val<usize>,
    b: impl Fn(Val<usize>) -> Val<D::Factor> + Copy,
    out: Out<D::Sum, O, F>,
) -> Val<usize> {
    if const { size_of::<D::Sum>() == 8 } {
        first_of::<D, O, F, 6, 4, 2>(tile, rows, depth, column, b, out)
    } else {
        first_of::<D, O, F, 12, 8, 4>(tile, rows, depth, column, b, out)
    }
}

#[device]
fn first_of<
    D: Products,
    O: Num,
    F: Fn(D::Sum) -> D::Sum + Copy,
    const L: usize,
    const M: usize,
    const N: usize,
>(
    tile: Tile<D>,
    rows: usize,
    depth: usize,
    column: usize,
    b: impl Fn(usize) -> D::Factor + Copy,
    out: Out<D::Sum, O, F>,
) -> usize {
    if rows > M {
        group::<D, O, F, L>(tile, 0, depth, column, b, out);
        L.into()
    } else if rows > N {
        group::<D, O, F, M>(tile, 0, depth, column, b, out);
        M.into()
    } else {
        group::<D, O, F, N>(tile, 0, depth, column, b, out);
        N.into()
    }
}

/// `TM` rows of A, of which the first is row `i` of the tile, times a panel of B, on their way to C.
#[device]
fn group<D: Products, O: Num, F: Fn(D::Sum) -> D::Sum + Copy, const TM: usize>(
    tile: Tile<D>,
    i: usize,
    depth: usize,
    column: usize,
    b: impl Fn(usize) -> D::Factor + Copy,
    out: Out<D::Sum, O, F>,
) {
    out.expect::<TM>(i, column, depth);
    out.store(sums::<D, TM>(tile, i, depth, b), i, column);
}

/// `TM` rows of A, of which the first is row `i` of the tile, times a panel of B.
#[device]
fn sums<D: Products, const TM: usize>(
    tile: Tile<D>,
    i: usize,
    depth: usize,
    b: impl Fn(usize) -> D::Factor + Copy,
) -> [D::Sum; TM] {
    let stride = tile.stride;
    // The one check of the rows.
    let a = if tile.columns {
        tile.data.slice(i, tile.len - tile.tall + TM)
    } else {
        tile.data.slice(i * stride, TM * stride)
    };
    let mut sums = [Val::<D::Sum>::zero(); TM];
    if let Some(starts) = tile.starts {
        for j in unroll(0..TM) {
            sums[j] = starts[i + j];
        }
    }
    for p in 0..depth {
        let b = b(p);
        for i in unroll(0..TM) {
            let at = if tile.columns { p * stride + i } else { p + i * stride };
            sums[i] = D::dot(a[at], b, sums[i]);
        }
    }
    sums
}

/// Where sums belong: rows of C from `row0` on. They are of the `first` columns of A, the `last`, both or
/// neither.
#[derive(Clone, Copy)]
struct Out<S: Num, O: Num, F> {
    c: ViewMut<O, 2>,
    first: Val<bool>,
    last: Val<bool>,
    row0: Val<usize>,
    epilogue: Epilogue<S, O, F>,
}

#[device]
impl<S: Num + Summed, O: Num, F: Fn(S) -> S + Copy> Out<S, O, F> {
    /// Asks for where the sums of the rows from `i` on belong, if their products take longer than memory.
    fn expect<const TM: usize>(&self, i: usize, column: usize, depth: usize) {
        if depth >= FAR {
            for j in unroll(0..TM) {
                self.c.prefetch([self.row0 + i + j, column]);
            }
        }
    }

    /// Stores the sums of the rows from `i` on.
    fn store<const TM: usize>(&self, sums: [S; TM], i: usize, column: usize) {
        let (m, n) = (self.c.shape(0), self.c.shape(1));
        let row = self.row0 + i;
        // Both are the same for all lanes: no masks.
        let whole = column - thread_idx_x() + PANEL <= n;
        if self.epilogue.is_linear() {
            let all = whole && row + TM <= m;
            for i in unroll(0..TM) {
                if all {
                    self.put(sums[i], row + i, column);
                } else if row + i < m && column < n {
                    self.put(sums[i], row + i, column);
                }
            }
        } else {
            // A function may be long: its code stands here twice rather than 24 times.
            let mut waiting = [Val::<S>::zero(); TM];
            for i in unroll(0..TM) {
                waiting[i] = sums[i];
            }
            for i in 0..(m - row).min(TM) {
                if whole {
                    self.put(waiting[i], row + i, column);
                } else if column < n {
                    self.put(waiting[i], row + i, column);
                }
            }
        }
    }

    fn put(&self, sum: S, row: usize, column: usize) {
        let (c, epilogue) = (self.c, self.epilogue);
        let x = if self.first {
            epilogue.begin(sum, || c[[row, column]])
        } else {
            c[[row, column]].cast::<S>() + epilogue.alpha * sum
        };
        let done = if epilogue.is_linear() {
            x
        } else if self.last {
            epilogue.end(x, row, column)
        } else {
            x
        };
        c[[row, column]] = done.cast::<O>();
    }
}
