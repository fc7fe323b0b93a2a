//! Few rows of A times B whose columns are contiguous, as weights are in most models: dot products, the
//! lanes side by side along both.

use kernelsmith::prelude::*;

use super::super::epilogue::Epilogue;
use super::super::pack::PANEL;
use super::super::products::{Products, Summed, Words};
use super::{LowForm, ROWS, Word, fill, finish};

/// Columns of a block, a multiple of what a tile may have: 1, 2, 3, 6 or 8.
pub(super) const COLUMNS: usize = 48;

/// Words of A's rows, and of columns of B, that a block has at a time: pieces of columns stay in the L1
/// cache while all rows of A pass by.
const DEPTH: usize = 2048;
const STRIDE: usize = DEPTH + 16;

/// `C = map(alpha * A * B' + beta * C + bias) + residual` of each matrix of a batch, `A: m x k` with at most
/// 32 rows, `B: n x k` of words as they lie in memory, or of elements that are words when they are converted;
/// products as `D` takes them. Rows of B are contiguous. A block is one warp and takes 48 columns.
///
/// `TM x TN` dot products are summed at a time, each lane every 32nd of their products.
#[kernel(
    block = PANEL,
    requires = (
        a.shape(1) == c.shape(1),
        a.shape(2) == b.shape(2) * D::Left::LEN,
        b.shape(1) == c.shape(2),
        b.stride(2) == 1,
        form.a_rows * a.stride(2) == form.a_rows,
        form.c_rows * c.stride(2) == form.c_rows,
    ),
)]
pub fn matmul_low_dots<
    A: Num,
    B: Num,
    D: Products<Sum = S>,
    S: Num + Summed,
    O: Num,
    const TM: usize,
    const TN: usize,
>(
    alpha: S,
    beta: S,
    #[comptime] form: LowForm,
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
    let (m, n, k) = (c.shape(0), c.shape(1), b.shape(1));
    let column0 = block_idx_x() * COLUMNS;
    let width = (n - column0).min(COLUMNS);
    // Whole tiles: rows beyond A are zeros, columns beyond B its last one.
    let padded = m.next_multiple_of(TM);
    let sums = shared::<S>(ROWS * COLUMNS);
    let factors = shared::<Word<D>>(ROWS * STRIDE);
    for at in (lane..padded * COLUMNS).step_by(PANEL) {
        sums[at] = Val::<S>::zero();
    }
    for k0 in (0..k).step_by(DEPTH) {
        let depth = (k - k0).min(DEPTH);
        fill::<A, D>(a, (k0, depth), factors, STRIDE, padded, (sums, COLUMNS, width));
        for j in (0..width).step_by(TN) {
            for i in (0..padded).step_by(TM) {
                let a = factors.slice(i * STRIDE, TM * STRIDE);
                let dots = dots::<B, D, TM, TN>(a, b, (k0, column0 + j), depth);
                for u in unroll(0..TM) {
                    for v in unroll(0..TN) {
                        let sum = warp_sum(dots[u][v]);
                        if lane == 0 {
                            sums[(i + u) * COLUMNS + j + v] += sum;
                        }
                    }
                }
            }
        }
        barrier();
    }
    finish(sums, COLUMNS, width, column0, epilogue, c);
}

/// A lane's part of `TM` rows of A times `TN` columns of B, over `depth` words from `origin` of B on.
#[device]
fn dots<B: Num, D: Products, const TM: usize, const TN: usize>(
    a: Shared<Word<D>>,
    b: &View<B, 2>,
    origin: (usize, usize),
    depth: usize,
) -> [[D::Sum; TN]; TM] {
    let (from, to) = (origin.0, origin.0 + depth);
    let columns: [&[B]; TN] = array(|v| {
        let column = (origin.1 + v).min(b.shape(0) - 1);
        &b.outer(column).contiguous()[from..to]
    });
    let mut sums = [[Val::<D::Sum>::zero(); TN]; TM];
    for p in (thread_idx_x()..depth).step_by(PANEL) {
        let b: [D::Factor; TN] =
            array(|v| D::factor(columns[v][p].cast::<<D::Right as Words>::Word>()));
        for u in unroll(0..TM) {
            let a = a[u * STRIDE + p];
            for v in unroll(0..TN) {
                sums[u][v] = D::dot(a, b[v], sums[u][v]);
            }
        }
    }
    sums
}
