//! A few rows of activations times quantised weights: bound by reading the weights, which are decoded
//! in registers.

use kernelsmith::prelude::*;

use super::activations::{RECORD, SCALE, STAGE, START, SUM};
use super::decode::Step;
use super::format::{Layout, PANEL};

/// Rows of activations at most.
pub(super) const ROWS: usize = 4;

/// Steps from what is read to what is asked for meanwhile.
const AHEAD: usize = 4;

/// The largest group of chunks.
const GROUP: usize = 4;

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
        for c in unroll((0..layout.chunks).step_by(layout.group())) {
            sums = step.add_products::<R>(c, x, sums);
        }
    }
    for i in unroll(0..R) {
        if y.owns([i, 0]) {
            y[[i, 0]] = sums[i];
        }
    }
}

#[device]
impl Step {
    /// `sums` and the products of the group of chunks that begins with chunk `c0`.
    fn add_products<const R: usize>(
        &self,
        #[comptime] c0: usize,
        x: &[i32],
        sums: [f32; R],
    ) -> [f32; R] {
        let group = self.layout.group();
        let mut sums = sums;
        if self.layout.scales() == 1 {
            sums = self.add_part::<R>(c0, 0, x, sums);
        } else {
            // A loop when the kernel runs: LLVM puts the loads of long blocks of code into an order of
            // its own, in which processors hardly see that memory is read from front to back. Even so
            // it pays to ask for what comes, which it does not for shorter steps.
            for part in range(0, self.layout.scales()) {
                for j in unroll(0..self.layout.words / 2) {
                    let at = (part * (self.layout.words / 2) + j) * PANEL + thread_idx_x();
                    self.words.prefetch(at + AHEAD * self.layout.words * PANEL);
                }
                sums = self.part(part).add_part::<R>(c0, part, x, sums);
            }
        }
        if self.layout.has_mins() {
            for c in unroll(0..group) {
                let min = -self.min(c0 + c);
                for r in unroll(0..R) {
                    let sum = f32::from_bits(x[((c0 + c) * R + r) * RECORD + SUM] as u32);
                    sums[r] = min.mul_add(sum, sums[r]);
                }
            }
        }
        sums
    }

    /// The same for one part of the bytes, of which these are all.
    fn add_part<const R: usize>(
        &self,
        #[comptime] c0: usize,
        part: usize,
        x: &[i32],
        sums: [f32; R],
    ) -> [f32; R] {
        let (group, len) = (self.layout.group(), 8 / self.layout.scales());
        let mut sums = sums;
        let mut dots = [[0; R]; GROUP];
        for c in unroll(0..group) {
            for r in unroll(0..R) {
                if self.layout.zero() != 0 {
                    dots[c][r] = x[part + (((c0 + c) * R + r) * RECORD + START)];
                }
            }
        }
        for i in unroll(0..len) {
            for c in unroll(0..group) {
                let bytes = self.bytes(c0 + c, i);
                for r in unroll(0..R) {
                    let at = part * len + (((c0 + c) * R + r) * RECORD + i);
                    dots[c][r] = dot4(bytes, x[at], dots[c][r]);
                }
            }
        }
        for c in unroll(0..group) {
            let scale = self.scale(c0 + c);
            for r in unroll(0..R) {
                let at = ((c0 + c) * R + r) * RECORD + SCALE;
                let scale = scale * f32::from_bits(x[at] as u32);
                sums[r] = (dots[c][r] as f32).mul_add(scale, sums[r]);
            }
        }
        sums
    }
}
