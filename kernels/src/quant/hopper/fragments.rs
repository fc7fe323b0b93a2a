//! Weights as threads want them: each thread's part of a left factor is its own words, so that bits are turned
//! into floats where they are, in registers (as Marlin's and Machete's repacked weights; Frantar et al.,
//! "MARLIN", 2024).
//!
//! Weights are cut into pieces of 128 rows by 128 columns, row of pieces by row of pieces. A piece is what a
//! stage of the kernel's pipeline holds: of each of two warpgroups, 64 rows each, first the words of its
//! threads, the first of all threads, the second of all, and so on; then a scale and a zero for each row and
//! group of columns, both f16.

use kernelsmith::ir::mma::Operand;
use kernelsmith::prelude::*;

use crate::quant::plain::Plain;

/// Rows and columns of a piece.
pub(super) const ROWS: usize = 128;
pub(super) const DEPTH: usize = 128;

/// Rows, threads and columns of a left factor, and how many there are along a piece.
const HALF: usize = 64;
pub(super) const THREADS: usize = 128;
const SLICE: usize = 16;
pub(super) const SLICES: usize = DEPTH / SLICE;

/// Every left factor of 16-bit elements lies alike, however wide the product.
type Factors = Wgmma<f16, 8>;

/// How weights are packed: `scale * (q - zero)`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Form {
    /// Bits of a weight: 4 or 8.
    pub bits: usize,
    /// Scales of a row of a piece: 1, 2 or 4.
    pub scales: usize,
}

impl Form {
    /// Of weights with a scale for `group` of them along K, a multiple of 32. A group that is no multiple of
    /// 64 has its scale once for each 32.
    pub(in crate::quant) fn of_group(bits: usize, group: usize) -> Form {
        let scales = match group {
            _ if group.is_multiple_of(128) => 1,
            _ if group.is_multiple_of(64) => 2,
            _ => 4,
        };
        Form { bits, scales }
    }

    /// Words of weights that a thread has.
    pub(super) const fn own_words(self) -> usize {
        SLICES * self.bits / 4
    }

    /// Words of a warpgroup's part of a piece.
    pub(super) const fn half_words(self) -> usize {
        self.own_words() * THREADS + self.scales * HALF
    }

    /// Words of a piece.
    pub(super) const fn words(self) -> usize {
        2 * self.half_words()
    }
}

/// Where weight `(row, at)` is: its word, and its lowest bit there. `pieces` are along a row.
fn place(form: Form, pieces: usize, row: usize, at: usize) -> (usize, usize) {
    let (slice, in_slice) = (at % DEPTH / SLICE, (row % HALF, at % SLICE));
    let first = half(form, pieces, row, at);
    let (thread, element) = owner(in_slice);
    match form.bits {
        // Two elements that follow each other are 16 bits apart: a pair of halves after one mask.
        4 => (first + slice * THREADS + thread, element / 2 * 4 + element % 2 * 16),
        _ => (first + (2 * slice + element / 4) * THREADS + thread, element % 4 * 8),
    }
}

/// The first word of the half piece that has a weight.
fn half(form: Form, pieces: usize, row: usize, at: usize) -> usize {
    (row / ROWS * pieces + at / DEPTH) * form.words() + row % ROWS / HALF * form.half_words()
}

/// The thread that has an element of a left factor, and the number that it has there.
fn owner((row, column): (usize, usize)) -> (usize, usize) {
    // PTX ISA, "Register Fragments for wgmma.mma_async.m64nNk16": a thread has two rows, 8 apart, and of each
    // two columns next to each other, twice, 8 apart.
    let thread = row / 16 * 32 + row % 8 * 4 + column % 8 / 2;
    let element = column / 8 * 4 + row % 16 / 8 * 2 + column % 2;
    debug_assert_eq!(
        Factors::SHAPE.element(Operand::A, thread as u32, element as u32),
        (row as u32, column as u32)
    );
    (thread, element)
}

/// Where the scale and the zero of a weight are.
fn scale_place(form: Form, pieces: usize, row: usize, at: usize) -> usize {
    let group = at % DEPTH * form.scales / DEPTH;
    let scales = half(form, pieces, row, at) + form.own_words() * THREADS;
    scales + group * HALF + row % HALF
}

/// The pieces of weights `n x k` with a scale for each `group` of a row. Beyond them everything is 0, scales
/// too.
pub(in crate::quant) fn pack(
    form: Form,
    [n, k]: [usize; 2],
    group: usize,
    weights: &Plain,
) -> Vec<u32> {
    let pieces = k.div_ceil(DEPTH);
    let mut words = vec![0u32; n.div_ceil(ROWS) * pieces * form.words()];
    for row in 0..n {
        for at in 0..k {
            let (word, bit) = place(form, pieces, row, at);
            words[word] |= u32::from(weights.q[row * k + at]) << bit;
        }
        for at in (0..k).step_by(DEPTH / form.scales) {
            let of = row * (k / group) + at / group;
            let [scale, zero] =
                [weights.scales[of], weights.zeros[of]].map(|x| u32::from(x.to_bits()));
            words[scale_place(form, pieces, row, at)] = scale | zero << 16;
        }
    }
    words
}

/// The weights that [`pack`] packed.
pub(in crate::quant) fn unpack(
    form: Form,
    [n, k]: [usize; 2],
    group: usize,
    words: &[u32],
) -> Plain {
    let (pieces, mask) = (k.div_ceil(DEPTH), (1 << form.bits) - 1);
    let mut weights = Plain::default();
    for row in 0..n {
        for at in 0..k {
            let (word, bit) = place(form, pieces, row, at);
            weights.q.push((words[word] >> bit & mask) as u8);
        }
        for at in (0..k).step_by(group) {
            let both = words[scale_place(form, pieces, row, at)];
            weights.scales.push(f16::from_bits(both as u16));
            weights.zeros.push(f16::from_bits((both >> 16) as u16));
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every weight has bits of its own, at the thread and element that the instruction's table says.
    #[test]
    fn pieces_hold_what_threads_want() {
        for form in [Form { bits: 4, scales: 1 }, Form { bits: 8, scales: 4 }] {
            let mut seen = vec![0u32; form.words()];
            for row in 0..ROWS {
                for at in 0..DEPTH {
                    let (word, bit) = place(form, 1, row, at);
                    let bits = ((1u32 << form.bits) - 1) << bit;
                    assert_eq!(seen[word] & bits, 0, "{row}, {at}");
                    seen[word] |= bits;
                    let (thread, element) = owner((row % HALF, at % SLICE));
                    let found = Factors::SHAPE.element(Operand::A, thread as u32, element as u32);
                    assert_eq!(found, ((row % HALF) as u32, (at % SLICE) as u32));
                    assert_eq!((word % form.half_words()) % THREADS, thread);
                }
            }
            assert_eq!(seen.iter().filter(|&&word| word == 0).count(), 2 * HALF * form.scales);
        }
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        for (bits, [n, k], group) in
            [(4, [8, 96], 32), (4, [130, 384], 192), (8, [40, 256], 128), (8, [1, 320], 320)]
        {
            let form = Form::of_group(bits, group);
            let all = n * k / group;
            let half = |i: usize| f16::from_f32((i % 15) as f32);
            let weights = Plain {
                q: (0..n * k).map(|i| (i * 7 % (1 << bits)) as u8).collect(),
                scales: (0..all).map(half).collect(),
                zeros: (3..all + 3).map(half).collect(),
            };
            let words = pack(form, [n, k], group, &weights);
            assert_eq!(unpack(form, [n, k], group, &words), weights, "{bits}, {n} x {k}, {group}");
        }
    }
}
