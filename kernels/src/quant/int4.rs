//! Integers of 4 bits with a scale and a zero for each group, as GPTQ and AWQ files have them.

use kernelsmith::f16;

use super::format::{CHUNK, Layout, PANEL};
use super::int8::check_group;
use super::pack::place;
use crate::error::{Error, check_len};

/// How integers of 4 bits lie in words of 32, from the lowest bits up.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Int4Order {
    /// As GPTQ writes them: words of `qweight: k / 8 x n` hold 8 weights along K, in order. Words of
    /// `qzeros` hold 8 of neighbouring rows of W, in order; they are less by 1 than the zero in the first
    /// version of the format, and are the zero in the second.
    Gptq {
        /// Whether zeros are stored less by 1: in all files that do not say `gptq_v2`.
        less_by_one: bool,
    },
    /// As AWQ writes them: words of `qweight: k x n / 8` and of `qzeros` hold 8 of neighbouring rows of
    /// W, in the order 0, 2, 4, 6, 1, 3, 5, 7.
    Awq,
}

/// The position in a word of AWQ's of each of 8 neighbours.
const AWQ_POSITIONS: [usize; 8] = [0, 4, 1, 5, 2, 6, 3, 7];

/// The tensors of a layer quantised to 4 bits in groups along K: weights are `scale * (q - zero)`.
///
/// Files whose groups are in another order than K (`g_idx` of GPTQ with `desc_act`) need their rows
/// put in the groups' order first, and activations likewise.
#[derive(Clone, Copy, Debug)]
pub struct Int4Tensors<'a> {
    /// Rows and columns of W, `[n, k]`: outputs and inputs of the layer.
    pub shape: [usize; 2],
    /// Weights along K that have one scale: a multiple of 32 that divides `k`.
    pub group: usize,
    /// How `qweight` and `qzeros` are packed.
    pub order: Int4Order,
    /// The weights.
    pub qweight: &'a [u32],
    /// The zeros, `k / group x n / 8`.
    pub qzeros: &'a [u32],
    /// The scales, `k / group x n`.
    pub scales: &'a [f16],
}

impl Int4Tensors<'_> {
    pub(super) fn check(&self) -> Result<(), Error> {
        let [n, k] = self.shape;
        let breach =
            |argument, found: String, rule: String| Err(Error::Shape { argument, found, rule });
        check_group(self.group, k)?;
        if !n.is_multiple_of(8) {
            return breach("shape", format!("n = {n}"), "n must be a multiple of 8".to_owned());
        }
        let groups = k / self.group;
        check_len("qweight", self.qweight.len(), "n * k / 8", (n / 8).checked_mul(k))?;
        let zeros = (n / 8).checked_mul(groups);
        check_len("qzeros", self.qzeros.len(), "n / 8 * k / group", zeros)?;
        check_len("scales", self.scales.len(), "n * k / group", n.checked_mul(groups))
    }

    /// The code of a weight.
    fn weight(&self, row: usize, at: usize) -> u8 {
        let [n, _] = self.shape;
        let (word, position) = match self.order {
            Int4Order::Gptq { .. } => (at / 8 * n + row, at % 8),
            Int4Order::Awq => (at * (n / 8) + row / 8, AWQ_POSITIONS[row % 8]),
        };
        (self.qweight[word] >> (4 * position) & 15) as u8
    }

    fn zero(&self, row: usize, group: usize) -> u8 {
        let word = self.qzeros[group * (self.shape[0] / 8) + row / 8];
        let at = |position: usize| (word >> (4 * position) & 15) as u8;
        match self.order {
            Int4Order::Gptq { less_by_one } => at(row % 8) + u8::from(less_by_one),
            Int4Order::Awq => at(AWQ_POSITIONS[row % 8]),
        }
    }

    /// The words and halves of panels.
    pub(super) fn pack(&self) -> (Vec<u32>, Vec<f16>) {
        let [n, k] = self.shape;
        let (layout, groups) = (Layout::int4(self.group), k / self.group);
        let (rows, steps) = (n.next_multiple_of(PANEL), k / layout.step_len());
        let mut words = vec![0; rows * steps * layout.words];
        let mut halves = vec![f16::ZERO; rows * groups * layout.halves];
        for row in 0..n {
            for group in 0..groups {
                let first = place(row, group, groups, layout.halves);
                halves[first] = self.scales[group * n + row];
                halves[first + PANEL] = f16::from_f32(self.zero(row, group).into());
            }
            for step in 0..steps {
                let first = place(row, step, steps, layout.words);
                for j in 0..layout.words {
                    words[first + j * PANEL] = self.word(row, step * layout.step_len(), j);
                }
            }
        }
        (words, halves)
    }

    /// Word `j` of the weights from `first` on: of each chunk the first 16 weights are the low halves of
    /// 16 bytes, the others the high ones.
    fn word(&self, row: usize, first: usize, j: usize) -> u32 {
        let first = first + j / 4 * CHUNK + j % 4 * 4;
        let byte =
            |b: usize| self.weight(row, first + b) | self.weight(row, first + b + CHUNK / 2) << 4;
        u32::from_le_bytes(std::array::from_fn(byte))
    }
}
