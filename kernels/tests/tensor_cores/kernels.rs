//! Matmuls of small whole tiles on tensor cores; the hardware tests run them, too.

use kernelsmith::prelude::*;

/// `c = a * b`, one warp for each tile of the instruction: `a` is row-major, `b` column-major, and
/// all extents are multiples of the instruction's.
#[kernel]
pub(crate) fn tiles<S: MmaAtom>(
    n: usize,
    k: usize,
    a: &[S::Input],
    b: &[S::Input],
    c: &mut [S::Sum],
) {
    let (row, column) = (block_idx_y() * S::M, block_idx_x() * S::N);
    let mut sum = Fragment::<S, Accumulator>::zero();
    for step in (0..k).step_by(S::K) {
        let left =
            Fragment::<S, MatrixA>::load_matrix(a, row * k + step, k, MatrixLayout::RowMajor);
        let right = Fragment::<S, MatrixB>::from_fn(|i, j| b[(column + j) * k + step + i]);
        sum = mma(left, right, sum);
    }
    sum.store_matrix(c, row * n + column, n, MatrixLayout::RowMajor);
}

/// `c = 2 * a * b + 1` where that is above zero, else 0; by tiles of 32x32 and four warps of 16x16.
/// The tiles of the next step are copied while those of this one are multiplied. Both factors are
/// row-major, and extents are multiples of 32.
#[kernel(block = 128)]
pub(crate) fn pipelined<T: Float>(n: usize, k: usize, a: &[T], b: &[T], c: &mut [f32])
where
    MmaSync<T, 16, 8, 16>: LdmatrixAtom<Input = T, Sum = f32>,
{
    // Rows of shared memory are padded so that `ldmatrix` meets each bank once.
    let (left, right) = (shared::<T>(2 * 32 * 40), shared::<T>(2 * 32 * 40));
    let (row, column) = (block_idx_y() * 32, block_idx_x() * 32);
    // Each thread copies 8 elements of both tiles.
    let (i, j) = (thread_idx_x() / 4, thread_idx_x() % 4 * 8);
    let fetch = |step: usize| {
        let to = step % 2 * (32 * 40) + i * 40 + j;
        cp_async::<8, T>(left, to, a, (row + i) * k + step * 32 + j);
        cp_async::<8, T>(right, to, b, (step * 32 + i) * n + column + j);
        cp_async_commit();
    };
    let (top, side) = (warp_id() / 2 * 16, warp_id() % 2 * 16);
    let mut sums = [Fragment::<MmaSync<T, 16, 8, 16>, Accumulator>::zero(); 2];
    let steps = k / 32;
    if steps > 0 {
        fetch(0);
    }
    for step in 0..steps {
        if step + 1 < steps {
            fetch(step + 1);
            cp_async_wait(1);
        } else {
            cp_async_wait(0);
        }
        barrier();
        let tile = step % 2 * (32 * 40);
        for part in unroll([0, 16]) {
            let x = Fragment::ldmatrix(left, tile + top * 40 + part, 40, MatrixLayout::RowMajor);
            for half in 0..2 {
                let start = tile + part * 40 + side + half * 8;
                let y = Fragment::ldmatrix(right, start, 40, MatrixLayout::RowMajor);
                sums[half] = mma(x, y, sums[half]);
            }
        }
        // The other tile is overwritten in the next step.
        barrier();
    }
    for half in 0..2 {
        let mut sum = sums[half];
        for e in 0..sum.len() {
            sum[e] = sum[e] * 2.0 + 1.0;
        }
        let (top, side) = (row + top, column + side + half * 8);
        sum.for_each(|i, j, x| c[(top + i) * n + side + j] = if x > 0.0 { x } else { 0.0 });
    }
}
