//! Activations quantised on the fly: 32 of a row become bytes with a scale of their own.

use kernelsmith::prelude::*;

use super::format::{CHUNK, PANEL};

/// Words of 32 quantised activations: 8 of bytes, then
/// * the scale, an `f32`,
/// * for both halves of the bytes their sum times `-zero` of the weights that they meet: what sums of
///   products begin with,
/// * the scale times the sum of all bytes, an `f32`.
pub(super) const RECORD: usize = 12;

pub(super) const SCALE: usize = 8;
pub(super) const START: usize = 9;
pub(super) const SUM: usize = 11;

/// Numbers whose greatest is less are 0: their inverse might be infinite.
const LEAST: f32 = 1e-36;

/// Quantises `x: m x k` to `records[tile][chunk][row of the tile]`, in tiles of `tile` rows. A block is
/// one warp, which quantises 32 numbers of a row at a time, a lane each. Rows beyond `m` are zeros.
///
/// The scale is the greatest magnitude over 127, so that bytes are -127 to 127. A NaN or an infinity
/// makes the scale NaN, and so whatever is computed with it.
#[kernel(block = PANEL, requires = (x.len() >= m * chunks * CHUNK))]
pub fn quantize_rows<T: Float>(
    m: usize,
    chunks: usize,
    tile: usize,
    zero: i32,
    x: &[T],
    records: &mut Part<i32, 2>,
) {
    let lane = thread_idx_x();
    let bytes = shared::<i8>(CHUNK);
    let words = bytes.cast::<i32>();
    for i in 0..records.count(0) {
        let record = records.global(0, i);
        let (row, chunk) =
            (record / (chunks * tile) * tile + record % tile, record / tile % chunks);
        let value = if row < m { x[(row * chunks + chunk) * CHUNK + lane].to_f32() } else { 0.0 };
        let greatest = warp_max(value.abs());
        // The maximum ignores NaN; a product with 0 does not, nor infinities.
        let poison = warp_sum(value * 0.0);
        let inverse = if greatest > LEAST { 127.0 / greatest } else { 0.0 };
        let byte = (value * inverse).round_ties_even() as i32;
        bytes[lane] = byte as i8;
        barrier();
        let half = lane / 16;
        let first = warp_sum(if half == 0 { byte } else { 0 });
        let second = warp_sum(if half == 0 { 0 } else { byte });
        let scale = if greatest > LEAST { greatest / 127.0 } else { 0.0 } + poison;
        let mut word = words[lane % 8];
        if lane == SCALE {
            word = scale.to_bits() as i32;
        } else if lane == START {
            word = -zero * first;
        } else if lane == START + 1 {
            word = -zero * second;
        } else if lane == SUM {
            word = (scale * (first + second) as f32).to_bits() as i32;
        }
        if records.owns([i, 0]) {
            records[[i, 0]] = word;
        }
        barrier();
    }
}
