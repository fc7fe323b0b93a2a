//! What an attention computes.

use super::config::HEAD_DIMENSIONS;
use crate::error::Error;

/// The shape of an attention and which keys a query sees.
///
/// `Q: batch x heads x queries x dimension` and `K: batch x kv_heads x keys x dimension`, dense and row-major;
/// `V` and `O` as these, but of `value_dimension` columns. Head `h` reads keys and values of head `h / (heads / kv_heads)`: with one of those it is
/// multi-query attention (Shazeer, 2019), with a few grouped-query attention (Ainslie et al., 2023).
///
/// ```
/// use kernelsmith_kernels::attention::Attention;
/// let prefill = Attention::new(512, 512, 64).heads(32).kv_heads(8).causal();
/// assert_eq!(prefill.scale, 0.125);
/// // Keys with more columns than values, as in multi-head latent attention.
/// let latent = Attention::new(512, 512, 192).value_dimension(128).heads(128).causal();
/// assert_eq!(latent.output_elements(), Some(128 * 512 * 128));
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
#[non_exhaustive]
pub struct Attention {
    /// Sequences.
    pub batch: usize,
    /// Heads of the queries.
    pub heads: usize,
    /// Heads of keys and values.
    pub kv_heads: usize,
    /// Queries of a sequence.
    pub queries: usize,
    /// Keys and values of a sequence.
    pub keys: usize,
    /// Columns of queries and keys: one of [`HEAD_DIMENSIONS`].
    pub dimension: usize,
    /// Columns of values and outputs: one of [`HEAD_DIMENSIONS`], as a rule the same.
    pub value_dimension: usize,
    /// Whether query `i` sees keys `0..=i + keys - queries` only.
    pub causal: bool,
    /// How many keys a query of a causal attention sees at most: the last ones.
    pub window: Option<usize>,
    /// What scores are multiplied by.
    pub scale: f32,
    /// The bound `c` of scores, which become `c tanh(score / c)`.
    pub soft_cap: Option<f32>,
}

impl Attention {
    /// One head of one sequence in which every query sees every key; scores are divided by the root of
    /// the dimension.
    pub fn new(queries: usize, keys: usize, dimension: usize) -> Attention {
        Attention {
            batch: 1,
            heads: 1,
            kv_heads: 1,
            queries,
            keys,
            dimension,
            value_dimension: dimension,
            causal: false,
            window: None,
            scale: 1.0 / (dimension as f32).sqrt(),
            soft_cap: None,
        }
    }

    /// Of as many sequences.
    pub fn batch(self, batch: usize) -> Attention {
        Attention { batch, ..self }
    }

    /// Of as many heads, of queries, keys and values alike.
    pub fn heads(self, heads: usize) -> Attention {
        Attention { heads, kv_heads: heads, ..self }
    }

    /// Of fewer heads of keys and values: a divisor of the heads of queries.
    pub fn kv_heads(self, kv_heads: usize) -> Attention {
        Attention { kv_heads, ..self }
    }

    /// Values, and so outputs, have as many columns, instead of as many as queries and keys.
    pub fn value_dimension(self, value_dimension: usize) -> Attention {
        Attention { value_dimension, ..self }
    }

    /// Query `i` sees keys `0..=i + keys - queries` only.
    pub fn causal(self) -> Attention {
        Attention { causal: true, ..self }
    }

    /// A query sees no more than the last `window` keys of those it would see; causal attention only.
    pub fn window(self, window: usize) -> Attention {
        Attention { window: Some(window), ..self }
    }

    /// Scores are multiplied by `scale`.
    pub fn scale(self, scale: f32) -> Attention {
        Attention { scale, ..self }
    }

    /// Scores `s` become `cap * tanh(s / cap)`, after scaling.
    pub fn soft_cap(self, cap: f32) -> Attention {
        Attention { soft_cap: Some(cap), ..self }
    }

    /// The keys that a query sees.
    pub fn seen(&self, query: usize) -> std::ops::Range<usize> {
        if !self.causal {
            return 0..self.keys;
        }
        let end = (query + self.keys + 1).saturating_sub(self.queries).min(self.keys);
        end.saturating_sub(self.window.unwrap_or(end))..end
    }

    /// Elements of `Q`, if they can be counted.
    pub fn query_elements(&self) -> Option<usize> {
        product([self.batch, self.heads, self.queries, self.dimension])
    }

    /// Elements of `K`, if they can be counted.
    pub fn key_elements(&self) -> Option<usize> {
        product([self.batch, self.kv_heads, self.keys, self.dimension])
    }

    /// Elements of `V`, if they can be counted.
    pub fn value_elements(&self) -> Option<usize> {
        product([self.batch, self.kv_heads, self.keys, self.value_dimension])
    }

    /// Elements of `O`, if they can be counted.
    pub fn output_elements(&self) -> Option<usize> {
        product([self.batch, self.heads, self.queries, self.value_dimension])
    }

    /// What of its numbers does not go together.
    pub(super) fn check(&self) -> Result<(), Error> {
        let rule =
            |argument, found: String, rule: String| Err(Error::Shape { argument, found, rule });
        let dimensions = [("dimension", self.dimension), ("value_dimension", self.value_dimension)];
        for (argument, d) in dimensions {
            if !HEAD_DIMENSIONS.contains(&d) {
                let there = "head dimensions are the multiples of 8 from 32 to 576".to_owned();
                return rule(argument, format!("the value {d}"), there);
            }
        }
        if self.heads > 0 && (self.kv_heads == 0 || !self.heads.is_multiple_of(self.kv_heads)) {
            let found = format!("the value {}", self.kv_heads);
            return rule("kv_heads", found, format!("it must divide heads = {}", self.heads));
        }
        match self.window {
            Some(0) => {
                return rule(
                    "window",
                    "the value 0".to_owned(),
                    "a query sees one key at least".to_owned(),
                );
            }
            Some(n) if !self.causal => {
                return rule(
                    "window",
                    format!("the value {n}"),
                    "only causal attention has a window".to_owned(),
                );
            }
            _ => {}
        }
        match self.soft_cap {
            Some(cap) if cap <= 0.0 || !cap.is_finite() => rule(
                "soft_cap",
                format!("the value {cap}"),
                "it must be positive and finite".to_owned(),
            ),
            _ => Ok(()),
        }
    }
}

fn product(extents: [usize; 4]) -> Option<usize> {
    extents.into_iter().try_fold(1usize, usize::checked_mul)
}
