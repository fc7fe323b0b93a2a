//! From scores to weights and from the gradients of weights to those of scores.

use std::f32::consts::LOG2_E;

use kernelsmith::lang::Val;
use kernelsmith::prelude::*;

use super::products::Columns;
use super::seen::Seen;

/// What becomes of the products of queries and keys.
#[derive(Clone, Copy)]
pub(super) struct Weights<F> {
    pub(super) seen: Seen,
    pub(super) scale: Val<f32>,
    pub(super) cap: Val<f32>,
    /// `score(score, head, query, key)`, with derivative 1 by the score.
    pub(super) score: F,
}

/// Where a tile of scores is: of rows from `query`, and the thread's key.
#[derive(KernelValue, Clone, Copy)]
pub(super) struct Origin {
    pub(super) head: Val<usize>,
    pub(super) query: Val<usize>,
    pub(super) key: Val<usize>,
}

#[device]
impl<F: Fn(f32, usize, usize, usize) -> f32 + Copy> Weights<F> {
    /// In rows `from..to`, puts weights `P = exp(S - lse)` in place of products of queries and keys, and
    /// `dS = P (dP - delta)`, times the slope of the cap, in place of the weights' gradients. `lse` and
    /// `delta` have an element a query.
    pub(super) fn weigh(
        &self,
        #[comptime] masked: bool,
        at: Origin,
        from: usize,
        to: usize,
        lse: &[f32],
        delta: &[f32],
        p: Columns,
        ds: Columns,
    ) {
        for i in from..to {
            let query = at.query + i;
            // Where all scores were -inf, so that the output is zero, so are the weights.
            let sum = lse[query];
            let base = if sum == f32::NEG_INFINITY { f32::INFINITY } else { sum * LOG2_E };
            let (weight, slope) = self.weight(p.get(i), base, at.head, query, at.key);
            let gradient = slope * (ds.get(i) - delta[query]);
            if masked {
                let seen =
                    at.key < self.seen.end_key(query) && at.key >= self.seen.first_key(query);
                p.set(i, Val::<f32>::select(seen, weight, 0.0));
                ds.set(i, Val::<f32>::select(seen, gradient, 0.0));
            } else {
                p.set(i, weight);
                ds.set(i, gradient);
            }
        }
    }

    /// The weight of a product, against a `base` that is an exponent of 2, and its derivative by the scaled
    /// product.
    fn weight(&self, product: f32, base: f32, head: usize, query: usize, key: usize) -> (f32, f32) {
        let form = self.seen.form;
        if form.capped || form.scored {
            let scaled = product * self.scale;
            let bend = if form.capped { (scaled / self.cap).tanh() } else { 0.0 };
            let score = if form.capped { self.cap * bend } else { scaled };
            let f = self.score;
            let score = if form.scored { f(score, head, query, key) } else { score };
            let weight = score.mul_add(LOG2_E, -base).exp2_fast();
            (weight, if form.capped { weight * (1.0 - bend * bend) } else { weight })
        } else {
            let weight = product.mul_add(self.scale * LOG2_E, -base).exp2_fast();
            (weight, weight)
        }
    }
}
