//! How tokens are drawn.

use std::f64::consts::LOG2_E;

use kernelsmith::prelude::*;

use super::sample::{Form, sample_kernel};
use super::top_k::{MOST, check_k, room};
use crate::error::{Error, check_len};
use crate::number::SmallFloat;
use crate::reduce::Extreme;

/// Where the random number of each row comes from.
#[derive(Clone, Copy, Debug)]
pub enum Draw<'a> {
    /// Row `i` takes the first word of Philox4x32-10 of the counter `[i, low half of step, high half, 0]` and
    /// the key `[low half of seed, high half]`, its upper 24 bits over 2^24. The same on every device.
    Seeded {
        /// Of a sequence of draws.
        seed: u64,
        /// The number of the draw in the sequence.
        step: u64,
    },
    /// Numbers from 0 to below 1, one a row.
    Given(&'a Buffer<f32>),
}

/// Draws tokens by their logits: temperature, then top-k, top-p and min-p, each of what those before have
/// left.
///
/// ```
/// use kernelsmith::prelude::*;
/// use kernelsmith_kernels::sampling::{Draw, Sampler};
/// # fn main() -> Result<(), kernelsmith_kernels::Error> {
/// let logits = Buffer::from_slice(&Device::cpu(), &[1.0f32, 5.0, 4.9, -2.0])?;
/// let mut ids = Buffer::<u32>::zeros(logits.device(), 1)?;
/// let sampler = Sampler::new().temperature(0.7).top_k(2).top_p(0.95);
/// sampler.sample(4, &logits, Draw::Seeded { seed: 7, step: 0 }, &mut ids)?;
/// assert!([1, 2].contains(&ids.to_vec()?[0]));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sampler {
    temperature: f32,
    top_k: Option<usize>,
    top_p: f32,
    min_p: f32,
}

impl Default for Sampler {
    fn default() -> Sampler {
        Sampler::new()
    }
}

impl Sampler {
    /// Every token by its probability: temperature 1.
    pub fn new() -> Sampler {
        Sampler { temperature: 1.0, top_k: None, top_p: 1.0, min_p: 0.0 }
    }

    /// What logits are divided by. At 0 the greatest logit is taken, of equal ones the first.
    #[must_use]
    pub fn temperature(self, temperature: f32) -> Sampler {
        Sampler { temperature, ..self }
    }

    /// Only the `k` likeliest tokens, up to 256; of equal ones the first.
    #[must_use]
    pub fn top_k(self, k: usize) -> Sampler {
        Sampler { top_k: Some(k), ..self }
    }

    /// Only as many of the likeliest tokens as are needed for probabilities of `p` together (Holtzman et al.,
    /// "The curious case of neural text degeneration", 2020); at least one.
    #[must_use]
    pub fn top_p(self, p: f32) -> Sampler {
        Sampler { top_p: p, ..self }
    }

    /// Only tokens that are at least `p` times as likely as the likeliest (Nguyen et al., "Min-p sampling",
    /// 2024).
    #[must_use]
    pub fn min_p(self, p: f32) -> Sampler {
        Sampler { min_p: p, ..self }
    }

    /// Draws `ids[i]` of row `i` of a row-major matrix of logits with `columns` columns.
    ///
    /// # Errors
    /// If `logits` has not `ids.len() * columns` elements or given random numbers are not as many as `ids`; if
    /// the temperature is negative or not finite, `k` not from 1 to 256, or a share not from 0 to 1; or the
    /// buffers live on different devices. A row with a NaN, with `+inf` or of nothing but `-inf` has no
    /// probabilities: an error of the launch, which comes back when the device is next waited for.
    pub fn sample<T: SmallFloat>(
        &self,
        columns: usize,
        logits: &Buffer<T>,
        draw: Draw<'_>,
        ids: &mut Buffer<u32>,
    ) -> Result<(), Error> {
        let rows = ids.len();
        check_len("logits", logits.len(), "ids.len() * columns", rows.checked_mul(columns))?;
        self.check(columns)?;
        let (seed, step, uniforms) = match draw {
            Draw::Seeded { seed, step } => (seed, step, None),
            Draw::Given(uniforms) => {
                check_len("draw", uniforms.len(), "ids.len()", Some(rows))?;
                (0, 0, Some(uniforms))
            }
        };
        if rows == 0 {
            return Ok(());
        }
        if self.temperature == 0.0 {
            // SAFETY: the kernel writes every element.
            let mut values = unsafe { Buffer::<T>::uninit(logits.device(), rows) }?;
            return Extreme::Max.rows(columns, logits, &mut values, ids);
        }
        let all = self.top_k.is_none() && self.top_p >= 1.0 && self.min_p == 0.0;
        let k = self.top_k.unwrap_or(MOST).min(columns);
        let form = Form { most: if all { 0 } else { room(k) }, limited: self.top_k.is_some() };
        let scale = (LOG2_E / f64::from(self.temperature)) as f32;
        let ids = View::of_mut(ids, [rows, 1]).partition([1, 1]);
        let (top_p, min_p) = (self.top_p, self.min_p);
        sample_kernel::<T>(
            form, columns, k, scale, top_p, min_p, seed, step, uniforms, logits, ids,
        )
        .launch(logits.device())?;
        Ok(())
    }

    fn check(&self, columns: usize) -> Result<(), Error> {
        let wrong = |argument, value: f32, rule: &str| {
            let (found, rule) = (format!("the value {value}"), rule.to_owned());
            Err(Error::Shape { argument, found, rule })
        };
        if !(self.temperature >= 0.0 && self.temperature.is_finite()) {
            return wrong("temperature", self.temperature, "it is finite and not negative");
        }
        for (argument, share) in [("top_p", self.top_p), ("min_p", self.min_p)] {
            if !(0.0..=1.0).contains(&share) {
                return wrong(argument, share, "it is a share, from 0 to 1");
            }
        }
        // More than there are is all of them.
        check_k("top_k", self.top_k.unwrap_or(1).min(columns.clamp(1, MOST + 1)), columns)
    }
}
