//! What comes before the kernel that does the work.

use std::f32::consts::LOG2_E;

use kernelsmith::prelude::*;

/// For each of the rows of `out` and `d_out`, `lines x m x d`, two numbers: what exponents of 2 are taken
/// against, `lse * log2(e)`, infinite where there is nothing to see and behind the last row, so that weights
/// there are zero; and `delta = sum_e out[e] * d_out[e]`, what the softmax takes off each gradient of a weight.
///
/// `statistics: lines x tiles x 2 x M`, with as many tiles as hold `m` rows, so that one copy brings both for a
/// tile. Block `line * tiles + tile` takes a tile, each of its four warps a row of it after another.
#[kernel(
    block = 128,
    requires = (
        tiles >= 1, out.len() == lines * m * d, d_out.len() == out.len(), lse.len() == lines * m,
        statistics.len() == lines * tiles * 2 * M,
    ),
)]
pub fn attention_statistics<T: Float, const M: usize>(
    lines: usize,
    m: usize,
    d: usize,
    tiles: usize,
    out: &[T],
    d_out: &[T],
    lse: &[f32],
    statistics: &mut [f32],
) {
    let (line, tile) = (block_idx_x() / tiles, block_idx_x() % tiles);
    let to = block_idx_x() * (2 * M);
    for row in (warp_id()..M).step_by(4) {
        let query = tile * M + row;
        let mut base = f32::INFINITY;
        let mut delta = 0.0;
        if query < m {
            let at = line * m + query;
            let mut sum = 0.0;
            for e in (2 * lane_id()..d).step_by(64) {
                let (x, y): ([T; 2], [T; 2]) =
                    (out.load_vector(at * d + e), d_out.load_vector(at * d + e));
                sum = x[0].to_f32().mul_add(y[0].to_f32(), sum);
                sum = x[1].to_f32().mul_add(y[1].to_f32(), sum);
            }
            delta = warp_sum(sum);
            let sums = lse[at];
            base = if sums == f32::NEG_INFINITY { f32::INFINITY } else { sums * LOG2_E };
        }
        if lane_id() == 0 {
            statistics[to + row] = base;
            statistics[to + (M + row)] = delta;
        }
    }
}
