//! Integers of 8 bits with a scale for each group of a row, or for each row.

use kernelsmith::f16;

use super::format::{CHUNK, Layout, Packing};
use super::plain::{Panels, Plain};
use crate::error::{Error, check_len};

/// The tensors of a layer quantised to 8 bits in groups along K: weights are `scale * q`. With one group a
/// row, `group` = `k`, scales are per column of the layer's output.
#[derive(Clone, Copy, Debug)]
pub struct Int8Tensors<'a> {
    /// Rows and columns of W, `[n, k]`: outputs and inputs of the layer.
    pub shape: [usize; 2],
    /// Weights along K that have one scale: a multiple of 32 that divides `k`.
    pub group: usize,
    /// The weights, row-major.
    pub weights: &'a [i8],
    /// The scales, `n x k / group`.
    pub scales: &'a [f16],
}

impl Int8Tensors<'_> {
    pub(super) fn check(&self) -> Result<(), Error> {
        let [n, k] = self.shape;
        check_group(self.group, k)?;
        check_len("weights", self.weights.len(), "n * k", n.checked_mul(k))?;
        check_len("scales", self.scales.len(), "n * k / group", n.checked_mul(k / self.group))
    }

    /// Chunks are those of Q8_0, but more of them share a scale.
    pub(super) fn layout(group: usize) -> Layout {
        Layout { packing: Packing::Q8_0, chunks: 1, words: 8, halves: 1, shared: group / CHUNK }
    }

    /// The words and halves of panels.
    pub(super) fn pack(&self) -> (Vec<u32>, Vec<f16>) {
        let plain = Plain {
            q: self.weights.iter().map(|&q| (q as u8) ^ 0x80).collect(),
            scales: self.scales.to_vec(),
            zeros: Vec::new(),
        };
        let panels = Panels::new(Int8Tensors::layout(self.group), self.shape);
        panels.map(|panels| panels.pack(&plain)).unwrap_or_default()
    }
}

/// Groups must be whole chunks, and rows whole groups.
pub(super) fn check_group(group: usize, k: usize) -> Result<(), Error> {
    let breach = |argument, found, rule| Err(Error::Shape { argument, found, rule });
    if group == 0 || !group.is_multiple_of(CHUNK) {
        return breach("group", group.to_string(), format!("it must be a multiple of {CHUNK}"));
    }
    if !k.is_multiple_of(group) {
        let rule = format!("k must be whole groups of {group}");
        return breach("shape", format!("k = {k}"), rule);
    }
    Ok(())
}
