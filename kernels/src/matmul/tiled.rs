use kernelsmith::prelude::*;

use crate::tile::stage;

/// `C = A * B` for row-major `A: m x k`, `B: k x n`, `C: m x n`, with f32 accumulation.
///
/// A block computes its `BM x BN` tile of C, staging `BM x BK` of A and `BK x BN` of B in shared
/// memory as f32. A thread computes `TM` consecutive rows by `TN` columns that lie `BN / TN` apart,
/// so that the threads of a warp read consecutive columns of B and one and the same element of A.
/// Blocks have `(BN / TN, BM / TM)` threads.
#[kernel(
    block = [BN / TN, BM / TM],
    requires = (
        a.len() >= m * k,
        b.len() >= k * n,
        c.shape(0) == m,
        c.shape(1) == n,
        c.tile(0) == BM,
        c.tile(1) == BN,
    ),
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
    c: &mut Part<f32, 2>,
) {
    let (tx, ty) = (thread_idx_x(), thread_idx_y());
    let (row0, col0) = (c.origin(0), c.origin(1));
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
            if c.owns([i, j]) {
                c[[i, j]] = acc[i][j];
            }
        }
    }
}
