//! Activations quantised on the fly: 32 of a row become bytes with a scale of their own.

use kernelsmith::prelude::*;

use super::format::{CHUNK, Layout, PANEL};
use crate::error::Error;

/// Words of 32 quantised activations, a record: 8 of bytes, then
/// * the scale, an `f32`,
/// * what sums of products begin with, the bytes' sum times `-zero` of the weights that they meet: of all
///   bytes, or for weights with a scale for 16 of both halves apart,
/// * the scale times the sum of all bytes, an `f32`.
pub(super) const RECORD: usize = 12;

pub(super) const SCALE: usize = 8;
pub(super) const START: usize = 9;
pub(super) const SUM: usize = 11;

/// Chunks of a stage, the piece of K that kernels work through at a time.
pub(super) const STAGE: usize = 16;

/// Chunks of a row that are quantised together.
const BATCH: usize = 4;

/// Numbers whose greatest is less are 0: their inverse might be infinite.
const LEAST: f32 = 1e-36;

/// Quantises `x: m x 32 * chunks` to `records[stage][tile][chunk of the stage][row of the tile]`, in tiles
/// of `rows` rows. A block is one warp and has one tile of one stage; it quantises 32 numbers of a row at a
/// time, a lane each. Beyond `x` records are of zeros.
///
/// The scale is the greatest magnitude over 127, so that bytes are -127 to 127. A NaN or an infinity
/// makes NaN of whatever is computed with the record.
#[kernel(
    block = PANEL,
    requires = (
        x.len() >= m * chunks * CHUNK,
        records.tile(0) == rows * STAGE,
        records.tile(1) == RECORD,
        records.shape(1) == RECORD,
    ),
)]
pub fn quantize_rows<T: Float>(
    m: usize,
    chunks: usize,
    rows: usize,
    zero: i32,
    #[comptime] parts: usize,
    x: &[T],
    records: &mut Part<i32, 2>,
) {
    let lane = thread_idx_x();
    let bytes = shared::<i8>(BATCH * CHUNK);
    let words = bytes.cast::<i32>();
    let tiles = (m + rows - 1) / rows;
    let (row0, chunk0) = (block_idx_x() % tiles * rows, block_idx_x() / tiles * STAGE);
    for c0 in range(0, STAGE).step_by(BATCH) {
        for r in 0..rows {
            let (row, chunk) = (row0 + r, chunk0 + c0);
            let mut heads = [Head { scale: 0.0, first: 0, second: 0 }; BATCH];
            for c in unroll(0..BATCH) {
                let inside = row < m && chunk + c < chunks;
                let at = (row * chunks + chunk + c) * CHUNK + lane;
                let value = if inside { x[at].to_f32() } else { 0.0 };
                let (byte, head) = quantize(value);
                bytes[c * CHUNK + lane] = byte as i8;
                heads[c] = head;
            }
            // A lane reads what others wrote, and soon: a processor that has to wait for that waits
            // once for the batch.
            barrier();
            for c in unroll(0..BATCH) {
                let word = if lane < SCALE { words[c * SCALE + lane] } else { 0 };
                let word = heads[c].word(word, zero, parts);
                let i = (c0 + c) * rows + r;
                if records.owns([i, 0]) {
                    records[[i, 0]] = word;
                }
            }
            barrier();
        }
    }
}

/// What a record has besides bytes: their scale, and the sums of both halves of them.
#[derive(KernelValue, Clone, Copy)]
struct Head {
    scale: Val<f32>,
    first: Val<i32>,
    second: Val<i32>,
}

/// The lane's byte of a warp of numbers.
#[device]
fn quantize(value: f32) -> (i32, Head) {
    // As bits, of which those of infinity and NaN are the greatest.
    let greatest = f32::from_bits(warp_max(value.to_bits() & 0x7fff_ffff));
    let small = greatest < LEAST;
    let inverse = if small { 0.0 } else { 127.0 / greatest };
    let scale = if small { 0.0 } else { greatest * (1.0 / 127.0) };
    let byte = (value * inverse).round_ties_even() as i32;
    // Both halves' sums at once, each of less than 16 bits.
    let sums = warp_sum(if thread_idx_x() < CHUNK / 2 { byte } else { byte << 16 });
    let first = (sums << 16) >> 16;
    (byte, Head { scale, first, second: (sums - first) >> 16 })
}

#[device]
impl Head {
    /// The lane's word of a record, of which the bytes are given.
    fn word(&self, bytes: i32, zero: i32, #[comptime] parts: usize) -> i32 {
        let lane = thread_idx_x();
        let all = self.first + self.second;
        let (start, next) = if parts == 2 { (self.first, self.second) } else { (all, 0) };
        let mut word = bytes;
        if lane == SCALE {
            word = self.scale.to_bits() as i32;
        } else if lane == START {
            word = -zero * start;
        } else if lane == START + 1 {
            word = -zero * next;
        } else if lane == SUM {
            word = (self.scale * all as f32).to_bits() as i32;
        }
        word
    }
}

/// Rows of activations, quantised.
pub(super) struct Records {
    pub(super) data: Buffer<i32>,
    /// Rows of a tile.
    pub(super) rows: usize,
}

impl Records {
    /// Of `x: m x k`, for weights of some layout.
    pub(super) fn new<T: Float>(
        x: &Buffer<T>,
        [m, k]: [usize; 2],
        rows: usize,
        layout: Layout,
    ) -> Result<Records, Error> {
        let (tiles, chunks) = (m.div_ceil(rows), k / CHUNK);
        let all = tiles * rows * chunks.next_multiple_of(STAGE);
        // SAFETY: the kernel writes every element.
        let mut data = unsafe { Buffer::<i32>::uninit(x.device(), all * RECORD) }?;
        let part = View::of_mut(&mut data, [all, RECORD]).partition([rows * STAGE, RECORD]);
        let (zero, parts) = (layout.zero(), layout.scales());
        quantize_rows::<T>(m, chunks, rows, zero, parts, x, part).launch(x.device())?;
        Ok(Records { data, rows })
    }
}
