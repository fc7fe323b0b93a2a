//! The products of the backward pass, with sums in registers.
//!
//! Rows go in groups of 12, then 4, then 1, of a tile: always the same ones, see [`ROWS`].

use kernelsmith::prelude::*;

/// Rows whose sums are in registers at a time: on the CPU 24 registers of AVX-512.
pub(super) const ROWS: usize = 12;

/// A matrix in the block's memory of which each thread has a column.
#[derive(Clone, Copy)]
pub(super) struct Columns {
    pub(super) data: Shared<f32>,
    /// From one row to the next.
    pub(super) stride: usize,
}

#[device]
impl Columns {
    pub(super) fn get(&self, row: usize) -> f32 {
        self.data[row * self.stride + thread_idx_x()]
    }

    pub(super) fn set(&self, row: usize, value: f32) {
        let data = self.data;
        data[row * self.stride + thread_idx_x()] = value;
    }
}

/// Products of rows `from..to` of `rows`, `d` long, with the thread's column of `with`.
#[device]
pub(super) fn dots(
    #[comptime] d: usize,
    rows: &[f32],
    from: usize,
    to: usize,
    with: Columns,
    out: Columns,
) {
    let mut i = from;
    while i + ROWS <= to {
        dots_of::<ROWS>(d, &rows[i * d..(i + ROWS) * d], i, with, out);
        i += ROWS;
    }
    while i + 4 <= to {
        dots_of::<4>(d, &rows[i * d..(i + 4) * d], i, with, out);
        i += 4;
    }
    while i < to {
        dots_of::<1>(d, &rows[i * d..(i + 1) * d], i, with, out);
        i += 1;
    }
}

#[device]
fn dots_of<const R: usize>(
    #[comptime] d: usize,
    rows: &[f32],
    row0: usize,
    with: Columns,
    out: Columns,
) {
    let mut sums = [0.0; R];
    for e in range(0, d) {
        let x = with.get(e);
        for r in unroll(0..R) {
            sums[r] = rows[r * d + e].mul_add(x, sums[r]);
        }
    }
    for r in unroll(0..R) {
        out.set(row0 + r, sums[r]);
    }
}

/// Adds rows `from..to` of `rows`, each times the thread's element of that row of `weights`, to the thread's
/// column of `sums`.
#[device]
pub(super) fn add_weighted(
    #[comptime] d: usize,
    rows: &[f32],
    from: usize,
    to: usize,
    weights: Columns,
    sums: Columns,
) {
    for e0 in range(0, d).step_by(8) {
        let mut acc: [f32; 8] = array(|e| sums.get(e0 + e));
        for i in from..to {
            let (weight, row) = (weights.get(i), &rows[i * d + e0..i * d + e0 + 8]);
            for e in unroll(0..8) {
                acc[e] = row[e].mul_add(weight, acc[e]);
            }
        }
        for e in unroll(0..8) {
            sums.set(e0 + e, acc[e]);
        }
    }
}

/// `out[i] += scale * sum_j weights[i][j] * rows[j]` for the `count` rows of `out`, where `j` runs over
/// `ends(i, i + R)` for `R` rows at a time. A thread has every `W`-th column.
#[device]
pub(super) fn add_product<const W: usize>(
    #[comptime] d: usize,
    weights: Columns,
    count: usize,
    ends: impl Fn(usize, usize) -> (usize, usize) + Copy,
    rows: &[f32],
    scale: f32,
    out: &mut [f32],
) {
    for e0 in range(0, d / W * W).step_by(W) {
        product_of_columns(d, weights, count, ends, rows, scale, e0 + thread_idx_x(), out);
    }
    if d % W > 0 {
        if thread_idx_x() < d % W {
            let column = thread_idx_x() + d / W * W;
            product_of_columns(d, weights, count, ends, rows, scale, column, out);
        }
    }
}

#[device]
fn product_of_columns(
    #[comptime] d: usize,
    weights: Columns,
    count: usize,
    ends: impl Fn(usize, usize) -> (usize, usize) + Copy,
    rows: &[f32],
    scale: f32,
    column: usize,
    out: &mut [f32],
) {
    let mut i = 0;
    while i + ROWS <= count {
        product_of::<ROWS>(d, weights, i, ends(i, i + ROWS), rows, scale, column, out);
        i += ROWS;
    }
    while i + 4 <= count {
        product_of::<4>(d, weights, i, ends(i, i + 4), rows, scale, column, out);
        i += 4;
    }
    while i < count {
        product_of::<1>(d, weights, i, ends(i, i + 1), rows, scale, column, out);
        i += 1;
    }
}

#[device]
fn product_of<const R: usize>(
    #[comptime] d: usize,
    weights: Columns,
    row0: usize,
    ends: (usize, usize),
    rows: &[f32],
    scale: f32,
    column: usize,
    out: &mut [f32],
) {
    let stride = weights.stride;
    let weights = weights.data.slice(row0 * stride, R * stride);
    let mut sums = [0.0; R];
    for j in ends.0..ends.1 {
        let x = rows[j * d + column];
        for r in unroll(0..R) {
            sums[r] = weights[j + r * stride].mul_add(x, sums[r]);
        }
    }
    for r in unroll(0..R) {
        let at = (row0 + r) * d + column;
        out[at] = sums[r].mul_add(scale, out[at]);
    }
}
