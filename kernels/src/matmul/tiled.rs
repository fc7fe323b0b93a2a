//! The matmul of GPUs: tiles of A and B in shared memory, a tile of C in each thread's registers.

use kernelsmith::prelude::*;

use super::epilogue::{Epilogue, Steps};
use super::products::Summed;
use crate::tile::stage_view;

/// `C = map(alpha * A * B + beta * C + bias) + residual` of each matrix of a batch, `A: m x k`,
/// `B: k x n`, `C: m x n`.
///
/// A block computes its `BM x BN` tile of C, staging `BM x BK` of A and `BK x BN` of B in shared
/// memory in the type of the sums. A thread computes `TM` consecutive rows by `TN` columns that lie
/// `BN / TN` apart, so that the threads of a warp read consecutive columns of B and one and the same
/// element of A. Blocks have `(BN / TN, BM / TM)` threads.
///
/// `a_down` and `b_down` say that the columns of A or B are contiguous, not its rows.
#[kernel(
    block = [BN / TN, BM / TM],
    requires = (
        a.shape(0) == c.shape(0),
        b.shape(0) == c.shape(0),
        a.shape(1) == c.shape(1),
        b.shape(2) == c.shape(2),
        a.shape(2) == b.shape(1),
        c.tile(0) == 1,
        c.tile(1) == BM,
        c.tile(2) == BN,
    ),
)]
pub fn matmul_tiled<
    A: Num,
    B: Num,
    S: Num + Summed,
    O: Num,
    const BM: usize,
    const BN: usize,
    const BK: usize,
    const TM: usize,
    const TN: usize,
>(
    alpha: S,
    beta: S,
    #[comptime] a_down: bool,
    #[comptime] b_down: bool,
    #[comptime] steps: Steps,
    map: impl Fn(S) -> S,
    a: &View<A, 3>,
    b: &View<B, 3>,
    bias: Option<&View<S, 3>>,
    residual: Option<&View<O, 3>>,
    c: &mut Part<O, 3>,
) {
    let (tx, ty) = (thread_idx_x(), thread_idx_y());
    let (batch, row0, col0) = (c.origin(0), c.origin(1), c.origin(2));
    let (a, b) = (a.outer(batch), b.outer(batch));
    let a_tile = shared::<S>(BM * BK);
    let b_tile = shared::<S>(BK * BN);

    let mut acc = [[Val::<S>::zero(); TN]; TM];
    for k0 in (0..a.shape(1)).step_by(BK) {
        stage_view(a_tile, BM, BK, a, (row0, k0), a_down);
        stage_view(b_tile, BK, BN, b, (k0, col0), b_down);
        barrier();
        for p in range(0, BK) {
            let bs: [S; TN] = array(|j| b_tile[p * BN + j * (BN / TN) + tx]);
            for i in unroll(0..TM) {
                let a = a_tile[(ty * TM + i) * BK + p];
                for j in unroll(0..TN) {
                    acc[i][j] = S::multiply_add(a, bs[j], acc[i][j]);
                }
            }
        }
        barrier();
    }

    let epilogue = Epilogue::of_batch(batch, steps, (alpha, beta), bias, residual, map);
    for i in unroll(0..TM) {
        for j in unroll(0..TN) {
            if c.owns([0, i, j]) {
                let x = epilogue.begin(acc[i][j], || c[[0, i, j]]);
                let x = epilogue.end(x, c.global(1, i), c.global(2, j));
                c[[0, i, j]] = x.cast::<O>();
            }
        }
    }
}
