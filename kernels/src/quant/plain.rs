//! Quantised weights as they are: what panels and other ways to pack them have in common.

use kernelsmith::f16;

use super::format::{CHUNK, Layout, PANEL, Packing};
use super::pack::place;

/// Weights `scale * (q - zero)`, row-major: `n x k`, and scales and zeros `n x k / group`.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Plain {
    pub(super) q: Vec<u8>,
    pub(super) scales: Vec<f16>,
    pub(super) zeros: Vec<f16>,
}

/// Where the panels of a matrix have things, if each of its weights is `scale * (q - zero)`.
#[derive(Clone, Copy)]
pub(super) struct Panels {
    layout: Layout,
    n: usize,
    k: usize,
}

impl Panels {
    pub(super) fn new(layout: Layout, [n, k]: [usize; 2]) -> Option<Panels> {
        let simple = matches!(layout.packing, Packing::Q4_0 | Packing::Q8_0 | Packing::Int4);
        simple.then_some(Panels { layout, n, k })
    }

    /// Bits of a weight.
    pub(super) fn bits(self) -> usize {
        if self.layout.packing == Packing::Q8_0 { 8 } else { 4 }
    }

    /// Weights of a row that have a scale in common.
    pub(super) fn group(self) -> usize {
        self.layout.step_len() * self.layout.shared
    }

    /// The word of a weight, and its lowest bit there.
    fn weight(self, row: usize, at: usize) -> (usize, usize) {
        let (layout, steps) = (self.layout, self.k / self.layout.step_len());
        let (chunk, i) = (at % layout.step_len() / CHUNK, at % CHUNK);
        let (word, bit) = match self.bits() {
            8 => (chunk * 8 + i / 4, i % 4 * 8),
            _ => (chunk * 4 + i % 16 / 4, i % 4 * 8 + i / 16 * 4),
        };
        (place(row, at / layout.step_len(), steps, layout.words) + word * PANEL, bit)
    }

    /// The scale of a group.
    fn scale(self, row: usize, group: usize) -> usize {
        place(row, group, self.k / self.group(), self.layout.halves)
    }

    /// The weights of panels.
    pub(super) fn unpack(self, words: &[u32], halves: &[f16]) -> Plain {
        let mut plain = Plain::default();
        let mask = (1 << self.bits()) - 1;
        let zero = f16::from_f32(self.layout.zero() as f32);
        for row in 0..self.n {
            for at in 0..self.k {
                let (word, bit) = self.weight(row, at);
                plain.q.push((words[word] >> bit & mask) as u8);
            }
            for group in 0..self.k / self.group() {
                let first = self.scale(row, group);
                plain.scales.push(halves[first]);
                let own = self.layout.packing == Packing::Int4;
                plain.zeros.push(if own { halves[first + PANEL] } else { zero });
            }
        }
        plain
    }

    /// The panels of weights; rows beyond the last are zeros, which have no scale.
    pub(super) fn pack(self, plain: &Plain) -> (Vec<u32>, Vec<f16>) {
        let Panels { layout, n, k } = self;
        let rows = n.next_multiple_of(PANEL);
        let groups = k / self.group();
        let mut words = vec![0; rows * (k / layout.step_len()) * layout.words];
        let mut halves = vec![f16::ZERO; rows * groups * layout.halves];
        for row in 0..n {
            for at in 0..k {
                let (word, bit) = self.weight(row, at);
                words[word] |= u32::from(plain.q[row * k + at]) << bit;
            }
            for group in 0..groups {
                let (first, of) = (self.scale(row, group), row * groups + group);
                halves[first] = plain.scales[of];
                if layout.packing == Packing::Int4 {
                    halves[first + PANEL] = plain.zeros[of];
                }
            }
        }
        (words, halves)
    }

    /// The weights, row-major, exactly.
    pub(super) fn dequantize(self, words: &[u32], halves: &[f16]) -> Vec<f64> {
        let Plain { q, scales, zeros } = self.unpack(words, halves);
        let of = |i: usize| i / self.k * (self.k / self.group()) + i % self.k / self.group();
        let weight =
            |(i, &q): (usize, &u8)| scales[of(i)].to_f64() * (f64::from(q) - zeros[of(i)].to_f64());
        q.iter().enumerate().map(weight).collect()
    }
}
