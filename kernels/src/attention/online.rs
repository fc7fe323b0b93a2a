use std::f32::consts::LN_2;

use kernelsmith::prelude::*;

/// The running maximum and sum of a softmax whose scores arrive in pieces (Milakov and
/// Gimelshein, "Online normalizer calculation for softmax", 2018).
#[derive(KernelValue, Clone, Copy)]
pub struct OnlineSoftmax {
    max: Val<f32>,
    sum: Val<f32>,
}

#[device]
impl OnlineSoftmax {
    /// Of no scores.
    #[allow(clippy::new_without_default)]
    pub fn new() -> OnlineSoftmax {
        OnlineSoftmax { max: f32::NEG_INFINITY, sum: 0.0 }
    }

    /// Takes in a piece whose largest score is `max`; returns what earlier sums and outputs must be
    /// multiplied by.
    pub fn rescale(&mut self, max: f32) -> f32 {
        let new = self.max.max(max);
        // With no key seen yet both are -inf, whose difference is NaN.
        let factor = if new == f32::NEG_INFINITY { 1.0 } else { (self.max - new).exp() };
        self.max = new;
        self.sum *= factor;
        factor
    }

    /// The weight of a score against the running maximum, added to the sum.
    pub fn weight(&mut self, score: f32) -> f32 {
        let weight = if score == f32::NEG_INFINITY { 0.0 } else { (score - self.max).exp() };
        self.sum += weight;
        weight
    }

    /// Takes in a score that has no output, as a sink's; returns what outputs must be multiplied by.
    pub fn join(&mut self, score: f32) -> f32 {
        let factor = self.rescale(score);
        let _ = self.weight(score);
        factor
    }

    /// What outputs are multiplied by in the end; 0 where no key was seen.
    pub fn scale(&self) -> f32 {
        inverse_of(self.sum)
    }

    /// The natural logarithm of the sum of the scores' exponentials; `-inf` of no scores.
    pub fn log_sum(&self) -> f32 {
        if self.sum == 0.0 { f32::NEG_INFINITY } else { self.max + self.sum.ln() }
    }
}

/// [`OnlineSoftmax`] of scores that are exponents of 2, by the target's approximation of `2^x`.
#[derive(KernelValue, Clone, Copy)]
pub struct OnlineSoftmax2 {
    max: Val<f32>,
    /// The maximum, or 0 where every score so far is `-inf`: what scores are taken against.
    base: Val<f32>,
    sum: Val<f32>,
}

#[device]
impl OnlineSoftmax2 {
    /// Of no scores.
    #[allow(clippy::new_without_default)]
    pub fn new() -> OnlineSoftmax2 {
        OnlineSoftmax2 { max: f32::NEG_INFINITY, base: 0.0, sum: 0.0 }
    }

    /// As [`OnlineSoftmax::rescale`].
    pub fn rescale(&mut self, max: f32) -> f32 {
        let new = self.max.max(max);
        self.base = if new == f32::NEG_INFINITY { 0.0 } else { new };
        let factor = (self.max - self.base).exp2_fast();
        self.max = new;
        self.sum *= factor;
        factor
    }

    /// As [`OnlineSoftmax::weight`].
    pub fn weight(&mut self, score: f32) -> f32 {
        let weight = (score - self.base).exp2_fast();
        self.sum += weight;
        weight
    }

    /// As [`OnlineSoftmax::join`].
    pub fn join(&mut self, score: f32) -> f32 {
        let factor = self.rescale(score);
        let _ = self.weight(score);
        factor
    }

    /// The greatest score so far.
    pub fn max(&self) -> f32 {
        self.max
    }

    /// The sum of weights so far, of those that this thread has taken in.
    pub fn sum(&self) -> f32 {
        self.sum
    }

    /// As [`OnlineSoftmax::scale`].
    pub fn scale(&self) -> f32 {
        inverse_of(self.sum)
    }

    /// As [`OnlineSoftmax::log_sum`]: of exponentials, not of powers of 2.
    pub fn log_sum(&self) -> f32 {
        log_sum_of(self.max, self.sum)
    }
}

/// What sums by weight are multiplied by if the weights have this sum: 0 if there are none, NaN if one is.
#[device]
pub(super) fn inverse_of(sum: f32) -> f32 {
    if sum == 0.0 { 0.0 } else { 1.0 / sum }
}

/// The natural logarithm of `2^max * sum`; `-inf` of no scores.
#[device]
pub(super) fn log_sum_of(max: f32, sum: f32) -> f32 {
    if sum == 0.0 { f32::NEG_INFINITY } else { max * LN_2 + sum.ln() }
}
