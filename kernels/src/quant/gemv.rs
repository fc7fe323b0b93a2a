//! A few rows of activations times quantised weights: bound by reading the weights, which are decoded
//! in registers.

use kernelsmith::prelude::*;

use super::activations::{RECORD, SCALE, STAGE, START, SUM};
use super::decode::{Chunk, Step};
use super::format::{Layout, PANEL};

/// Rows of activations at most.
pub(super) const ROWS: usize = 4;

/// `Y = X * W'` for a panel of W and `R` rows of X, which `records` holds. A block is one warp; a lane
/// has a row of W, so a column of Y.
///
/// Sums of 32 products (16 with scales for so many) are integers and exact; they are scaled and added up
/// in f32.
#[kernel(block = PANEL, requires = (y.tile(0) == R, y.tile(1) == PANEL))]
pub fn quantized_gemv<const R: usize>(
    steps: usize,
    #[comptime] layout: Layout,
    words: &[u32],
    halves: &[f16],
    records: &[i32],
    y: &mut Part<f32, 2>,
) {
    let (w_len, h_len) = (layout.words * PANEL, layout.halves * PANEL);
    let x_len = layout.chunks * R * RECORD;
    // Steps of a stage.
    let stage = STAGE / layout.chunks;
    let scaled = steps / layout.shared;
    let panels = (y.shape(1) + (PANEL - 1)) / PANEL;
    let (tile, panel) = (block_idx_x() / panels, block_idx_x() % panels);
    let tiles = (y.shape(0) + (R - 1)) / R;
    let words = &words[panel * steps * w_len..(panel + 1) * steps * w_len];
    let halves = &halves[panel * scaled * h_len..(panel + 1) * scaled * h_len];
    let mut sums = [0.0; R];
    for s in 0..steps {
        let h = s / layout.shared;
        let step = Step {
            layout,
            words: &words[s * w_len..(s + 1) * w_len],
            halves: &halves[h * h_len..(h + 1) * h_len],
        };
        let at = (s / stage * tiles + tile) * stage + s % stage;
        let x = &records[at * x_len..(at + 1) * x_len];
        for c in unroll(0..layout.chunks) {
            let chunk = step.chunk(c);
            for i in unroll(0..R) {
                sums[i] = chunk.add_product(layout, x, c * R + i, sums[i]);
            }
        }
    }
    for i in unroll(0..R) {
        if y.owns([i, 0]) {
            y[[i, 0]] = sums[i];
        }
    }
}

#[device]
impl Chunk {
    /// `sum` and the product with record `r` of `x`.
    fn add_product(
        &self,
        #[comptime] layout: Layout,
        x: &[i32],
        #[comptime] r: usize,
        sum: f32,
    ) -> f32 {
        let at = r * RECORD;
        let scale = f32::from_bits(x[at + SCALE] as u32);
        let mut sum = sum;
        let parts = layout.scales();
        let len = 8 / parts;
        for part in unroll(0..parts) {
            let mut dot = if layout.zero() == 0 { 0 } else { x[at + START + part] };
            for w in unroll(part * len..(part + 1) * len) {
                dot = dot4(self.words[w], x[at + w], dot);
            }
            sum = (dot as f32).mul_add(self.scales[part] * scale, sum);
        }
        match self.min {
            Some(min) => (-min).mul_add(f32::from_bits(x[at + SUM] as u32), sum),
            None => sum,
        }
    }
}
