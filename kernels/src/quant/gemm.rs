//! Many rows of activations times quantised weights, on the CPU: bound by arithmetic. Weights are decoded
//! once for all rows.

use kernelsmith::prelude::*;

use super::activations::{RECORD, SCALE, STAGE, START, SUM};
use super::decode::Step;
use super::format::{Layout, PANEL};

/// `Y = X * W'` for a panel of W and all rows of X, which `records` holds in tiles of `R`. A block is one
/// warp; a lane has a row of W, so a column of Y.
///
/// A stage of the panel, 16 chunks, is decoded to bytes and scales of 20 to 24 KiB, which stay in the L1
/// cache; all rows pass by. Their sums over earlier stages wait in Y. `R` rows are summed at a time: for 6,
/// 12 registers of AVX-512 of integers, 12 of f32, and 4 for weights and scales.
///
/// A lane reads only what it has written itself, so there are no barriers.
#[kernel(block = PANEL, requires = (y.tile(0) == y.shape(0), y.tile(1) == PANEL))]
pub fn quantized_gemm<const R: usize>(
    steps: usize,
    #[comptime] layout: Layout,
    words: &[u32],
    halves: &[f16],
    records: &[i32],
    y: &mut Part<f32, 2>,
) {
    let panel = block_idx_x();
    let scaled = steps / layout.shared;
    let (w_len, h_len) = (layout.words * PANEL, layout.halves * PANEL);
    let words = &words[panel * steps * w_len..(panel + 1) * steps * w_len];
    let halves = &halves[panel * scaled * h_len..(panel + 1) * scaled * h_len];
    let decoded = Decoded::new(layout);
    let (tiles, stage) = ((y.shape(0) + (R - 1)) / R, decoded.steps);
    for s0 in (0..steps).step_by(stage) {
        let count = (steps - s0).min(stage);
        for s in 0..count {
            let (w, h) = (s0 + s, (s0 + s) / layout.shared);
            let step = Step {
                layout,
                words: &words[w * w_len..(w + 1) * w_len],
                halves: &halves[h * h_len..(h + 1) * h_len],
            };
            decoded.fill(step, s);
        }
        for tile in 0..tiles {
            let x = &records[((s0 / stage * tiles + tile) * STAGE) * (R * RECORD)
                ..((s0 / stage * tiles + tile + 1) * STAGE) * (R * RECORD)];
            let mut sums = [0.0; R];
            if s0 > 0 {
                for i in unroll(0..R) {
                    if y.owns([tile * R + i, 0]) {
                        sums[i] = y[[tile * R + i, 0]];
                    }
                }
            }
            let sums = decoded.product::<R>(x, count * layout.chunks, sums);
            for i in unroll(0..R) {
                if y.owns([tile * R + i, 0]) {
                    y[[tile * R + i, 0]] = sums[i];
                }
            }
        }
    }
}

/// A stage of a panel: for each chunk 8 words, and scales and mins, of each lane.
#[derive(Clone, Copy)]
struct Decoded {
    layout: Layout,
    /// Steps of a stage.
    steps: usize,
    words: Shared<u32>,
    scales: Shared<f32>,
    mins: Option<Shared<f32>>,
}

impl Decoded {
    #[track_caller]
    fn new(layout: Layout) -> Decoded {
        let lanes = STAGE * PANEL;
        Decoded {
            layout,
            steps: STAGE / layout.chunks,
            words: shared(8 * lanes),
            scales: shared(layout.scales() * lanes),
            mins: layout.has_mins().then(|| shared(lanes)),
        }
    }
}

#[device]
impl Decoded {
    /// Decodes step `s` of the stage.
    fn fill(&self, step: Step, s: usize) {
        let lane = thread_idx_x();
        let (chunks, parts) = (self.layout.chunks, self.layout.scales());
        let words = self.words.slice(s * (chunks * 8 * PANEL), chunks * 8 * PANEL);
        let scales = self.scales.slice(s * (chunks * parts * PANEL), chunks * parts * PANEL);
        let len = 8 / parts;
        for c0 in unroll((0..chunks).step_by(self.layout.group())) {
            for part in range(0, parts) {
                let step = step.part(part);
                for i in unroll(0..len) {
                    for c in unroll(c0..c0 + self.layout.group()) {
                        words[part * (len * PANEL) + (c * 8 + i) * PANEL + lane] = step.bytes(c, i);
                    }
                }
                for c in unroll(c0..c0 + self.layout.group()) {
                    scales[part * PANEL + c * parts * PANEL + lane] = step.scale(c);
                }
            }
        }
        if let Some(mins) = self.mins {
            for c in unroll(0..chunks) {
                mins[(s * chunks + c) * PANEL + lane] = step.min(c);
            }
        }
    }

    /// `sums` and the products of `count` chunks with a tile of rows.
    fn product<const R: usize>(&self, x: &[i32], count: usize, sums: [f32; R]) -> [f32; R] {
        let lane = thread_idx_x();
        let parts = self.layout.scales();
        let len = 8 / parts;
        let mut sums = sums;
        for c in 0..count {
            let words = self.words.slice(c * (8 * PANEL), 8 * PANEL);
            let scales = self.scales.slice(c * (parts * PANEL), parts * PANEL);
            let x = &x[c * (R * RECORD)..(c + 1) * (R * RECORD)];
            for part in unroll(0..parts) {
                let mut dots = [0; R];
                if self.layout.zero() != 0 {
                    for i in unroll(0..R) {
                        dots[i] = x[i * RECORD + START + part];
                    }
                }
                for w in unroll(part * len..(part + 1) * len) {
                    let word = words[w * PANEL + lane];
                    for i in unroll(0..R) {
                        dots[i] = dot4(word, x[i * RECORD + w], dots[i]);
                    }
                }
                let scale = scales[part * PANEL + lane];
                for i in unroll(0..R) {
                    let scale = scale * f32::from_bits(x[i * RECORD + SCALE] as u32);
                    sums[i] = (dots[i] as f32).mul_add(scale, sums[i]);
                }
            }
            if let Some(mins) = self.mins {
                let min = -mins[c * PANEL + lane];
                for i in unroll(0..R) {
                    sums[i] = min.mul_add(f32::from_bits(x[i * RECORD + SUM] as u32), sums[i]);
                }
            }
        }
        sums
    }
}
