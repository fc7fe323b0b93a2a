use kernelsmith::prelude::*;

use crate::tile::stage;

/// `C = A * B` for row-major `A: m x k`, `B: k x n`, `C: m x n`, with f32 accumulation.
///
/// A block computes a `BM x BN` tile of C, staging `BM x BK` of A and `BK x BN` of B in shared
/// memory as f32. A thread computes `TM` consecutive rows by `TN` columns that lie `BN / TN` apart,
/// so that the threads of a warp read consecutive columns of B and one and the same element of A.
/// Blocks have `(BN / TN, BM / TM)` threads.
#[kernel(
    block = [BN / TN, BM / TM],
    requires = (a.len() >= m * k, b.len() >= k * n, c.len() >= m * n),
)]
pub fn matmul_tiled<
    T: Float,
    const BM: usize,
    const BN: usize,
    const BK: usize,
    const TM: usize,
    const TN: usize,
>(
    m: usize,
    n: usize,
    k: usize,
    a: &[T],
    b: &[T],
    c: &mut [f32],
) {
    let (tx, ty) = (thread_idx_x(), thread_idx_y());
    let (row0, col0) = (block_idx_y() * BM, block_idx_x() * BN);
    let a_tile = shared::<f32>(BM * BK);
    let b_tile = shared::<f32>(BK * BN);

    let mut acc = [[0.0; TN]; TM];
    for k0 in (0..k).step_by(BK) {
        stage(a_tile, BM, BK, a, (row0, k0), (m, k));
        stage(b_tile, BK, BN, b, (k0, col0), (k, n));
        barrier();
        for p in range(0, BK) {
            let bs: [f32; TN] = array(|j| b_tile[p * BN + j * (BN / TN) + tx]);
            for i in unroll(0..TM) {
                let a = a_tile[(ty * TM + i) * BK + p];
                for j in unroll(0..TN) {
                    acc[i][j] = a.mul_add(bs[j], acc[i][j]);
                }
            }
        }
        barrier();
    }

    for i in unroll(0..TM) {
        for j in unroll(0..TN) {
            let (row, col) = (row0 + ty * TM + i, col0 + j * (BN / TN) + tx);
            if row < m && col < n {
                c[row * n + col] = acc[i][j];
            }
        }
    }
}
