//! The CPU's matmul: a warp's sums stay in vector registers, B comes in panels as wide as a warp.

use kernelsmith::prelude::*;

/// Columns of a panel: the lanes of a warp.
pub(super) const PANEL: usize = 32;

/// Rows of a block's tile of A at most.
pub(super) const ROWS: usize = 64;

/// Writes `B: k x n` as panels of 32 columns, one after the other: `packed[panel][row][column]`, as f32,
/// with zeros beyond `n`. The matmul then reads B from front to back, from few pages of memory.
#[kernel(
    block = PANEL,
    requires = (
        b.len() >= packed.shape(1) * n,
        packed.shape(2) == PANEL,
        packed.tile(2) == PANEL,
    ),
)]
pub fn pack_panels<T: Float>(n: usize, b: &[T], packed: &mut Part<f32, 3>) {
    let lane = thread_idx_x();
    for r in 0..packed.count(1) {
        let row = packed.global(1, r);
        for j in 0..packed.count(0) {
            let column = packed.global(0, j) * PANEL;
            // Of one branch all lanes agree, which spares a whole panel its masks.
            packed[[j, r, 0]] = if column + PANEL <= n {
                b[row * n + column + lane].to_f32()
            } else if column + lane < n {
                b[row * n + column + lane].to_f32()
            } else {
                0.0
            };
        }
    }
}

/// How B lies in memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Layout {
    /// In panels of f32, by [`pack_panels`].
    Panels,
    /// As it is, `k x n` row-major.
    Rows,
}

/// `C = A * B` for row-major `A: m x k` and `C: m x n`. A block is one warp and computes `rows` (at most
/// 64) by `panels` panels of C. Of A it copies `BK` columns at a time to its own memory.
///
/// A thread sums up to 12 rows of one column: a warp's 12 x 32 sums are 24 registers of AVX-512, with
/// 2 for B and one for an element of A, of which each is used for 2 vectors.
#[kernel(block = PANEL, requires = (a.len() >= m * k, c.len() >= m * n))]
pub fn matmul_panels<T: Float, B: Float, const BK: usize>(
    m: usize,
    n: usize,
    k: usize,
    rows: usize,
    panels: usize,
    #[comptime] layout: Layout,
    a: &[T],
    b: &[B],
    c: &mut [f32],
) {
    let lane = thread_idx_x();
    let (row0, panel0) = (block_idx_y() * rows, block_idx_x() * panels);
    let rows = rows.min(m - row0);
    // Rows a power of two apart would share a few sets of the cache.
    let stride = BK + 16;
    let tile = shared::<f32>((ROWS + 8) * stride);
    for k0 in (0..k).step_by(BK) {
        let depth = (k - k0).min(BK);
        for i in 0..rows {
            let row = &a[(row0 + i) * k + k0..(row0 + i) * k + k0 + depth];
            for p in (lane..depth).step_by(PANEL) {
                tile[i * stride + p] = row[p].to_f32();
            }
        }
        // Sums are taken of four rows at a time.
        for i in rows..(rows + 3) / 4 * 4 {
            for p in (lane..depth).step_by(PANEL) {
                tile[i * stride + p] = 0.0;
            }
        }
        barrier();
        for panel in panel0..(panel0 + panels).min(n.div_ceil(PANEL)) {
            let place = Place { m, n, k0, row0, column: panel * PANEL };
            let column = place.column + lane;
            if let Layout::Panels = layout {
                let b = &b[panel * k * PANEL..(panel + 1) * k * PANEL];
                strip(tile, stride, rows, depth, place, |p| b[(k0 + p) * PANEL + lane].to_f32(), c);
            } else if place.column + PANEL <= n {
                strip(tile, stride, rows, depth, place, |p| b[(k0 + p) * n + column].to_f32(), c);
            } else {
                let within = |p: usize| {
                    if column < n { b[(k0 + p) * n + column].to_f32() } else { 0.0 }
                };
                strip(tile, stride, rows, depth, place, within, c);
            }
        }
        barrier();
    }
}

/// Where sums belong: columns of A from `k0` on, times what begins at `column` of B, in rows of C from
/// `row0` on.
#[derive(KernelValue, Clone, Copy)]
struct Place {
    m: Val<usize>,
    n: Val<usize>,
    k0: Val<usize>,
    row0: Val<usize>,
    column: Val<usize>,
}

/// All rows of a tile of A times one panel of B, given row by row.
#[device]
fn strip(
    tile: Shared<f32>,
    #[comptime] stride: usize,
    rows: usize,
    depth: usize,
    place: Place,
    b: impl Fn(usize) -> f32 + Copy,
    c: &mut [f32],
) {
    let mut i = 0;
    while i + 8 < rows {
        sums::<12>(tile.slice(i * stride, 12 * stride), stride, i, depth, place, b, c);
        i += 12;
    }
    if i + 4 < rows {
        sums::<8>(tile.slice(i * stride, 8 * stride), stride, i, depth, place, b, c);
    } else if i < rows {
        sums::<4>(tile.slice(i * stride, 4 * stride), stride, i, depth, place, b, c);
    }
}

/// `TM` rows of A, of which the first is row `i` of the tile, times a panel of B.
#[device]
fn sums<const TM: usize>(
    a: Shared<f32>,
    #[comptime] stride: usize,
    i: usize,
    depth: usize,
    place: Place,
    b: impl Fn(usize) -> f32 + Copy,
    c: &mut [f32],
) {
    let mut sums = [0.0; TM];
    for p in 0..depth {
        let b = b(p);
        for i in unroll(0..TM) {
            sums[i] = a[i * stride + p].mul_add(b, sums[i]);
        }
    }
    let (row, column) = (place.row0 + i, place.column + thread_idx_x());
    let whole = row + TM <= place.m && place.column + PANEL <= place.n;
    for i in unroll(0..TM) {
        // The first condition is the same for all lanes: no masks.
        if whole {
            let at = (row + i) * place.n + column;
            c[at] = if place.k0 == 0 { sums[i] } else { c[at] + sums[i] };
        } else if row + i < place.m && column < place.n {
            let at = (row + i) * place.n + column;
            c[at] = if place.k0 == 0 { sums[i] } else { c[at] + sums[i] };
        }
    }
}
