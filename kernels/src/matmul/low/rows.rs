//! Few rows of A times B whose rows are contiguous: sums wait in the block's memory while B passes by.

use kernelsmith::prelude::*;

use super::super::epilogue::Epilogue;
use super::super::pack::PANEL;
use super::super::products::{Products, Summed, Words};
use super::{LowForm, ROWS, Word, fill, finish};

/// Sums of a block at most: 32 KiB of f32, half of which is to stay in the L1 cache for few rows, and all
/// in L2.
const SUMS: usize = 1 << 13;

/// Words of A's rows that a block has at a time, and how far its rows are apart.
const DEPTH: usize = 256;
const STRIDE: usize = DEPTH + 16;

/// Rows of B, in words, that pass at a time: as many multiply-adds for a sum read and written.
const STEP: usize = 8;

/// Elements of a word at most.
const LONGEST: usize = 4;

/// Columns of a block, a multiple of 32: a few blocks for each thread, but pieces of B's rows as long as
/// they can be, since memory is read in order within them.
pub(super) fn columns(m: usize, n: usize, threads: usize) -> usize {
    let most = (SUMS / m.next_power_of_two()).min(1024);
    n.div_ceil(4 * threads).next_multiple_of(PANEL).clamp(2 * PANEL, most)
}

/// `C = map(alpha * A * B + beta * C + bias) + residual` of each matrix of a batch, `A: m x k` with at most
/// 32 rows, rows of B contiguous, with products as `D` takes them; k is whole words. A block is one warp and takes `columns` columns, a multiple of 32;
/// `columns * m` is at most 8192.
///
/// Of B a block reads pieces of eight rows (of words) at a time, once, from front to back.
#[kernel(
    block = PANEL,
    requires = (
        a.shape(1) == c.shape(1),
        a.shape(2) == b.shape(1),
        b.shape(2) == c.shape(2),
        b.stride(2) == 1,
        form.a_rows * a.stride(2) == form.a_rows,
        form.c_rows * c.stride(2) == form.c_rows,
    ),
)]
pub fn matmul_low_rows<A: Num, B: Num, D: Products<Sum = S>, S: Num + Summed, O: Num>(
    columns: usize,
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
    let (m, n, k) = (c.shape(0), c.shape(1), a.shape(1));
    let column0 = block_idx_x() * columns;
    let width = (n - column0).min(columns);
    let sums = shared::<S>(SUMS);
    let factors = shared::<Word<D>>(ROWS * STRIDE);
    for at in (lane..m * columns).step_by(PANEL) {
        sums[at] = Val::<S>::zero();
    }
    for k0 in (0..k / D::Left::LEN).step_by(DEPTH) {
        let depth = (k / D::Left::LEN - k0).min(DEPTH);
        fill::<A, D>(a, (k0, depth), factors, STRIDE, m, (sums, columns, width));
        let block = Columns { first: column0, count: width, stride: columns, m };
        let mut p = 0;
        while p + STEP <= depth {
            add::<B, D, STEP>(b, k0 + p, block, factors.slice(p, ROWS * STRIDE - DEPTH), sums);
            p += STEP;
        }
        while p < depth {
            add::<B, D, 1>(b, k0 + p, block, factors.slice(p, ROWS * STRIDE - DEPTH), sums);
            p += 1;
        }
        barrier();
    }
    finish(sums, columns, width, column0, epilogue, c);
}

/// The columns of a block, how far its rows of sums are apart, and their number.
#[derive(KernelValue, Clone, Copy)]
struct Columns {
    first: Val<usize>,
    count: Val<usize>,
    stride: Val<usize>,
    m: Val<usize>,
}

/// Adds the products with `K` words of the columns of B, of which the first is word `first`.
#[device]
fn add<B: Num, D: Products, const K: usize>(
    b: &View<B, 2>,
    first: usize,
    block: Columns,
    factors: Shared<Word<D>>,
    sums: Shared<D::Sum>,
) {
    let end = block.first + block.count;
    // Where words are shorter nobody asks for the last rows again.
    let rows: [[&[B]; LONGEST]; K] = array(|p| {
        array(|e| {
            let row = (first + p) * D::Right::LEN + e.min(D::Right::LEN - 1);
            &b.outer(row).contiguous()[block.first..end]
        })
    });
    for j in (thread_idx_x()..block.count).step_by(PANEL) {
        // The rows behind these begin in other pages, which the processor does not foresee.
        for p in unroll(0..K * D::Right::LEN) {
            b.prefetch([(first + K) * D::Right::LEN + p, block.first + j]);
        }
        let b: [D::Factor; K] = array(|p| {
            D::factor(D::Right::join(|e| rows[p][e][j].cast::<<D::Right as Words>::Element>()))
        });
        for i in 0..block.m {
            let (sums, factors) =
                (sums.slice(i * block.stride, block.count), factors.slice(i * STRIDE, K));
            let mut sum = sums[j];
            for p in unroll(0..K) {
                sum = D::dot(factors[p], b[p], sum);
            }
            sums[j] = sum;
        }
    }
}
