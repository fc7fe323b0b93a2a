//! The gradients by attention's sinks.

use kernelsmith::launch::ViewArg;
use kernelsmith::prelude::*;

use crate::attention::shape::Attention;
use crate::error::Error;

/// Sinks, and where the gradients by them go.
#[derive(Debug)]
pub(super) struct Sinks<'a> {
    pub(super) sinks: &'a Buffer<f32>,
    pub(super) d_sinks: &'a mut Buffer<f32>,
}

/// `d_sinks[h] = -sum(exp(sinks[h] - lse) * delta)` over the `m` queries of head `h` in all sequences of a
/// batch: a sink is a key whose value is zero, and so is the gradient of its weight `exp(sinks[h] - lse)`,
/// of which the softmax takes off `delta`. `lse: batch x heads x m`, and `delta: batch * heads x tiles x rows`, row
/// after row of a head's tiles. A block is one warp and takes a head.
#[kernel(
    block = warp_size(),
    requires = (
        lse.len() == batch * sinks.len() * m, delta.shape(0) == batch * sinks.len(),
        delta.shape(1) * delta.shape(2) >= m, d_sinks.len() == sinks.len(),
    ),
)]
pub fn sink_gradients(
    batch: usize,
    m: usize,
    sinks: &[f32],
    lse: &[f32],
    delta: &View<f32, 3>,
    d_sinks: &mut [f32],
) {
    let (head, heads) = (block_idx_x(), sinks.len());
    if head >= heads {
        return;
    }
    let sink = sinks[head];
    let mut sum = 0.0;
    for sequence in 0..batch {
        let line = sequence * heads + head;
        let (lse, delta) = (&lse[line * m..line * m + m], delta.outer(line));
        for tile in 0..delta.shape(0) {
            let (first, delta) = (tile * delta.shape(1), delta.outer(tile));
            let rows = delta.shape(0).min(m.saturating_sub(first));
            for row in (thread_idx_x()..rows).step_by(warp_size()) {
                let lse = lse[first + row];
                // Where nothing was seen, the sink neither.
                let weight = if lse == f32::NEG_INFINITY { 0.0 } else { (sink - lse).exp() };
                sum = weight.mul_add(-delta[[row]], sum);
            }
        }
    }
    let sum = warp_sum(sum);
    if thread_idx_x() == 0 {
        d_sinks[head] = sum;
    }
}

impl Sinks<'_> {
    /// With the logarithms of the softmax's sums, and what the softmax takes off its weights' gradients, see
    /// [`sink_gradients`].
    pub(super) fn run(
        self,
        a: &Attention,
        lse: &Buffer<f32>,
        delta: ViewArg<'_, f32, 3>,
    ) -> Result<(), Error> {
        let device = self.d_sinks.device().clone();
        if a.heads > 0 {
            sink_gradients(a.batch, a.queries, self.sinks, lse, delta, self.d_sinks)
                .grid(a.heads)
                .launch(&device)?;
        }
        Ok(())
    }
}
