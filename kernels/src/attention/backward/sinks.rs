//! The gradients by attention's sinks.

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
/// of which the softmax takes off `delta`. `lse, delta: batch x heads x m`. A block is one warp and takes a
/// head.
#[kernel(
    block = warp_size(),
    requires = (
        lse.len() == batch * sinks.len() * m, delta.len() == lse.len(), d_sinks.len() == sinks.len(),
    ),
)]
pub fn sink_gradients(
    batch: usize,
    m: usize,
    sinks: &[f32],
    lse: &[f32],
    delta: &[f32],
    d_sinks: &mut [f32],
) {
    let (head, heads) = (block_idx_x(), sinks.len());
    if head >= heads {
        return;
    }
    let sink = sinks[head];
    let mut sum = 0.0;
    for sequence in 0..batch {
        let first = (sequence * heads + head) * m;
        let (lse, delta) = (&lse[first..first + m], &delta[first..first + m]);
        for i in (thread_idx_x()..m).step_by(warp_size()) {
            // Where nothing was seen, the sink neither.
            let weight = if lse[i] == f32::NEG_INFINITY { 0.0 } else { (sink - lse[i]).exp() };
            sum = weight.mul_add(-delta[i], sum);
        }
    }
    let sum = warp_sum(sum);
    if thread_idx_x() == 0 {
        d_sinks[head] = sum;
    }
}

impl Sinks<'_> {
    /// With the logarithms of the softmax's sums, and what the softmax takes off its weights' gradients.
    pub(super) fn run(
        self,
        a: &Attention,
        lse: &Buffer<f32>,
        delta: &Buffer<f32>,
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
