//! The CPU's matmul: a warp's sums stay in vector registers, B comes in panels as wide as a warp.

use kernelsmith::prelude::*;

use super::epilogue::{Epilogue, Steps};
use super::pack::PANEL;

/// Rows of a tile in memory beyond its own: the last sums may reach there.
const BEYOND: usize = 8;

/// Elements by which rows of a tile are further apart than they are long: a power of two apart they would
/// share a few sets of the cache.
const APART: usize = 16;

/// What of a product is known when its kernel is compiled.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Form {
    /// Whether elements of a row of A are next to each other.
    pub a_rows: bool,
    /// Whether elements of a column of A are.
    pub a_columns: bool,
    /// How B lies in memory.
    pub b: Layout,
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
    /// Its columns.
    pub depth: usize,
}

impl TileSize {
    /// Elements in memory.
    pub const fn elements(&self) -> usize {
        (self.rows + BEYOND) * (self.depth + APART)
    }
}

/// How B lies in memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Layout {
    /// In panels, by [`pack_panels`](super::pack_panels): `batch x panels x (k * 32)`.
    Panels,
    /// As it is, `batch x k x n`.
    Rows,
}

/// `C = map(alpha * A * B + beta * C + bias) + residual` of each matrix of a batch, `A: m x k` and
/// `C: m x n`. A block is one warp and computes `rows` (at most a tile's) by `panels` panels of C. Of A it
/// copies a tile's columns at a time to its own memory; C, if there are more, holds the sums meanwhile.
///
/// A thread sums up to 12 rows of one column: a warp's 12 x 32 sums are 24 registers of AVX-512, with
/// 2 for B and one for an element of A, of which each is used for 2 vectors. Of f64 it is half the rows.
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
pub fn matmul_panels<T: Float, B: Float, S: Float, O: Float>(
    rows: usize,
    panels: usize,
    alpha: S,
    beta: S,
    #[comptime] form: Form,
    map: impl Fn(S) -> S,
    a: &View<T, 3>,
    b: &View<B, 3>,
    bias: Option<&View<S, 3>>,
    residual: Option<&View<O, 3>>,
    c: &mut View<O, 3>,
) {
    let (lane, batch) = (thread_idx_x(), block_idx_z());
    let (a, b, c) = (a.outer(batch), b.outer(batch), c.outer(batch));
    let bias = bias.map(|x| x.outer(batch));
    let residual = residual.map(|x| x.outer(batch));
    let epilogue = Epilogue { steps: form.steps, alpha, beta, bias, residual, map };
    let (m, n, k) = (c.shape(0), c.shape(1), a.shape(1));
    let (row0, panel0) = (block_idx_y() * rows, block_idx_x() * panels);
    let rows = rows.min(m - row0);
    let tile = Tile::<S>::new(form.tile, form.a_columns && !form.a_rows);
    for k0 in (0..k).step_by(form.tile.depth) {
        let depth = (k - k0).min(form.tile.depth);
        tile.fill(a, (row0, k0), rows, depth);
        barrier();
        let out = Out { c, first: k0 == 0, last: k0 + depth == k, row0, epilogue };
        for panel in panel0..(panel0 + panels).min((n + (PANEL - 1)) / PANEL) {
            let column = panel * PANEL + lane;
            if let Layout::Panels = form.b {
                let b = b.outer(panel);
                let b = |p: usize| b[[(k0 + p) * PANEL + lane]].cast::<S>();
                strip(tile, rows, depth, column, b, out);
            } else if panel * PANEL + PANEL <= n {
                strip(tile, rows, depth, column, |p| b[[k0 + p, column]].cast::<S>(), out);
            } else {
                let within = |p: usize| {
                    if column < n { b[[k0 + p, column]].cast::<S>() } else { Val::<S>::lit(0.0) }
                };
                strip(tile, rows, depth, column, within, out);
            }
        }
        barrier();
    }
}

/// A block's piece of A, in its own memory: as far apart are its rows and columns. Copied along
/// whichever are contiguous in A.
#[derive(Clone, Copy)]
struct Tile<S: Float> {
    data: Shared<S>,
    columns: bool,
    /// Rows in memory.
    tall: usize,
    stride: usize,
    len: usize,
}

impl<S: Float> Tile<S> {
    #[track_caller]
    fn new(size: TileSize, columns: bool) -> Tile<S> {
        let tall = size.rows + BEYOND;
        let stride = if columns { tall } else { size.depth + APART };
        let len = if columns { stride * size.depth } else { stride * tall };
        Tile { data: shared::<S>(len), columns, tall, stride, len }
    }
}

#[device]
impl<S: Float> Tile<S> {
    /// Copies `rows` by `depth` of A, and zeros for the rows up to the next multiple of four, since sums
    /// are taken of so many at a time.
    fn fill<T: Float>(&self, a: &View<T, 2>, origin: (usize, usize), rows: usize, depth: usize) {
        let (lane, data, stride) = (thread_idx_x(), self.data, self.stride);
        let padded = (rows + 3) / 4 * 4;
        if self.columns {
            for p in 0..depth {
                for i in (lane..rows).step_by(PANEL) {
                    data[p * stride + i] = a[[origin.0 + i, origin.1 + p]].cast::<S>();
                }
                for i in (lane + rows..padded).step_by(PANEL) {
                    data[p * stride + i] = Val::<S>::lit(0.0);
                }
            }
        } else {
            for i in 0..rows {
                let row = a.outer(origin.0 + i);
                for p in (lane..depth).step_by(PANEL) {
                    data[i * stride + p] = row[[origin.1 + p]].cast::<S>();
                }
            }
            for i in rows..padded {
                for p in (lane..depth).step_by(PANEL) {
                    data[i * stride + p] = Val::<S>::lit(0.0);
                }
            }
        }
    }
}

/// All rows of a tile of A times one panel of B, given row by row.
#[device]
fn strip<S: Float, O: Float, F: Fn(S) -> S + Copy>(
    tile: Tile<S>,
    rows: usize,
    depth: usize,
    column: usize,
    b: impl Fn(usize) -> S + Copy,
    out: Out<S, O, F>,
) {
    if size_of::<S>() == 8 {
        strip_of::<S, O, F, 6, 4, 2>(tile, rows, depth, column, b, out);
    } else {
        strip_of::<S, O, F, 12, 8, 4>(tile, rows, depth, column, b, out);
    }
}

/// `L` rows at a time, and at the end `M` or `N`: 3, 2 and 1 times as many.
#[device]
fn strip_of<
    S: Float,
    O: Float,
    F: Fn(S) -> S + Copy,
    const L: usize,
    const M: usize,
    const N: usize,
>(
    tile: Tile<S>,
    rows: usize,
    depth: usize,
    column: usize,
    b: impl Fn(usize) -> S + Copy,
    out: Out<S, O, F>,
) {
    let mut i = 0;
    while i + M < rows {
        out.store(sums::<S, L>(tile, i, depth, b), i, column);
        i += L;
    }
    if i + N < rows {
        out.store(sums::<S, M>(tile, i, depth, b), i, column);
    } else if i < rows {
        out.store(sums::<S, N>(tile, i, depth, b), i, column);
    }
}

/// `TM` rows of A, of which the first is row `i` of the tile, times a panel of B.
#[device]
fn sums<S: Float, const TM: usize>(
    tile: Tile<S>,
    i: usize,
    depth: usize,
    b: impl Fn(usize) -> S + Copy,
) -> [S; TM] {
    let stride = tile.stride;
    // The one check of the rows.
    let a = if tile.columns {
        tile.data.slice(i, tile.len - tile.tall + TM)
    } else {
        tile.data.slice(i * stride, TM * stride)
    };
    let mut sums = [Val::<S>::lit(0.0); TM];
    for p in 0..depth {
        let b = b(p);
        for i in unroll(0..TM) {
            let at = if tile.columns { p * stride + i } else { p + i * stride };
            sums[i] = a[at].mul_add(b, sums[i]);
        }
    }
    sums
}

/// Where sums belong: rows of C from `row0` on. They are of the `first` columns of A, the `last`, both or
/// neither.
#[derive(Clone, Copy)]
struct Out<S: Float, O: Float, F> {
    c: ViewMut<O, 2>,
    first: Val<bool>,
    last: Val<bool>,
    row0: Val<usize>,
    epilogue: Epilogue<S, O, F>,
}

#[device]
impl<S: Float, O: Float, F: Fn(S) -> S + Copy> Out<S, O, F> {
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
            let mut waiting = [Val::<S>::lit(0.0); TM];
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
