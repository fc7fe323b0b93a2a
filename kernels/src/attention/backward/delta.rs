//! What comes before the kernel that does the work.

use kernelsmith::prelude::*;

/// Rows of a block of [`attention_delta`].
pub(super) const DELTA_ROWS: usize = 64;

/// `delta[i] = sum_e out[i][e] * d_out[i][e]`, of rows `d` long: what the softmax takes off each gradient of
/// a weight. A block takes 64 rows.
#[kernel(
    block = warp_size(),
    requires = (out.len() >= delta.len() * d, d_out.len() >= delta.len() * d),
)]
pub fn attention_delta<O: Float>(d: usize, out: &[O], d_out: &[f32], delta: &mut [f32]) {
    let first = block_idx_x() * DELTA_ROWS;
    for row in first..(first + DELTA_ROWS).min(delta.len()) {
        let mut sum = 0.0;
        for e in (thread_idx_x()..d).step_by(warp_size()) {
            sum = out[row * d + e].to_f32().mul_add(d_out[row * d + e], sum);
        }
        let sum = warp_sum(sum);
        if thread_idx_x() == 0 {
            delta[row] = sum;
        }
    }
}
