//! The backward pass as users call it.

use kernelsmith::lang::Val;
use kernelsmith::prelude::*;

use super::bias::{Bias, NoBias};
use super::launch::{self, Call};
use super::sinks::Sinks;
use crate::attention::form::Form;
use crate::attention::shape::Attention;
use crate::error::{Error, check_len};

/// Columns that heads have at most: of more a GPU's shared memory does not hold a tile.
const MOST: usize = 256;

/// What the forward pass read and wrote.
#[derive(Debug)]
pub struct Forward<'a, T: Float, O: Float> {
    /// Queries: `batch x heads x queries x dimension`.
    pub q: &'a Buffer<T>,
    /// Keys: `batch x kv_heads x keys x dimension`.
    pub k: &'a Buffer<T>,
    /// Values: `batch x kv_heads x keys x value_dimension`.
    pub v: &'a Buffer<T>,
    /// The output: `batch x heads x queries x value_dimension`.
    pub out: &'a Buffer<O>,
    /// `ln(sum(exp(score)))` of each query over the keys that it sees and its head's sink, if there are any,
    /// `-inf` of nothing: `batch x heads x queries`. That is all that a sink needs here, but for
    /// [gradients of its own](FlashAttentionBackward::sinks).
    pub lse: &'a Buffer<f32>,
}

/// Where the gradients of a loss go. What was there is written over.
#[derive(Debug)]
pub struct Gradients<'a, T: Float> {
    /// By the queries, of their shape.
    pub dq: &'a mut Buffer<T>,
    /// By the keys, of their shape; summed over the heads that share them.
    pub dk: &'a mut Buffer<T>,
    /// By the values, of their shape; summed so too.
    pub dv: &'a mut Buffer<T>,
}

/// The gradients of a loss by Q, K and V of an attention, from its gradient `d_out` by the output; see
/// [`Attention`] for shapes. With a bias of scores: [`FlashAttentionBackward::bias`].
///
/// Sums are f32 and rounded to `T` once; weights and the gradients of scores are rounded to `T` before they are
/// multiplied where tensor cores do that (bf16 and f16 on Hopper GPUs, up to 256 columns, without a bias).
/// Results are the same bits from run to run on one machine. A key
/// that no query sees and a query that sees no key have gradients of zero. A NaN in a row reaches whatever
/// depends on that row, and may reach rows near those by masked weights, as `0 * NaN` is NaN.
///
/// # Errors
/// If the numbers of `attention` do not go together, a buffer has another length than they say, or the
/// buffers live on different devices.
pub fn flash_attention_backward<T: Float, O: Float>(
    attention: Attention,
    forward: Forward<'_, T, O>,
    d_out: &Buffer<O>,
    gradients: Gradients<'_, T>,
) -> Result<(), Error> {
    FlashAttentionBackward::new(attention).run(forward, d_out, gradients)
}

/// The backward pass of attention, with all that the forward pass may have had.
///
/// Functions of scores as such ([`flash_attention_scored`](crate::attention::flash_attention_scored)) have no
/// derivative that is known here; those that add a bias by position, as ALiBi (Press et al., 2022), have
/// derivative 1: [`bias`](Self::bias).
#[derive(Debug)]
#[must_use = "gradients are computed when `run` is called"]
pub struct FlashAttentionBackward<'a, B = NoBias> {
    attention: Attention,
    bias: B,
    sinks: Option<Sinks<'a>>,
    deterministic: bool,
}

impl FlashAttentionBackward<'_> {
    /// Of this shape.
    pub fn new(attention: Attention) -> Self {
        FlashAttentionBackward { attention, bias: NoBias, sinks: None, deterministic: true }
    }
}

impl<'a, B: Bias> FlashAttentionBackward<'a, B> {
    /// To finished scores, scaled and capped, the forward pass added `bias(head, query, key)`, where `head`
    /// counts through the batch: `sequence * heads + head`. It captures nothing.
    pub fn bias<F: Bias>(self, bias: F) -> FlashAttentionBackward<'a, F> {
        let FlashAttentionBackward { attention, sinks, deterministic, .. } = self;
        FlashAttentionBackward { attention, bias, sinks, deterministic }
    }

    /// Asks for the gradients by the sinks of the forward pass
    /// ([`FlashAttention::sinks`](crate::attention::FlashAttention::sinks)): both have an element a head,
    /// gradients are summed over the batch. What was in `d_sinks` is written over.
    pub fn sinks(self, sinks: &'a Buffer<f32>, d_sinks: &'a mut Buffer<f32>) -> Self {
        FlashAttentionBackward { sinks: Some(Sinks { sinks, d_sinks }), ..self }
    }

    /// Whether results are to be the same bits from run to run, which they are unless this says `false`.
    ///
    /// Only Hopper's own kernel is faster without: blocks then add their parts of dQ in whichever order they
    /// come to it, instead of in that of their keys. Everything else adds in a fixed order anyway.
    pub fn deterministic(self, deterministic: bool) -> Self {
        FlashAttentionBackward { deterministic, ..self }
    }

    /// Launches the backward pass; see [`flash_attention_backward`].
    ///
    /// # Errors
    /// As [`flash_attention_backward`], and if the bias captures values.
    pub fn run<T: Float, O: Float>(
        self,
        forward: Forward<'_, T, O>,
        d_out: &Buffer<O>,
        gradients: Gradients<'_, T>,
    ) -> Result<(), Error> {
        let FlashAttentionBackward { attention: a, bias, sinks, deterministic } = self;
        check(&a, &forward, d_out, &gradients)?;
        if let Some(Sinks { sinks, d_sinks }) = &sinks {
            check_len("sinks", sinks.len(), "heads", Some(a.heads))?;
            check_len("d_sinks", d_sinks.len(), "heads", Some(a.heads))?;
        }
        let form = Form {
            causal: a.causal,
            windowed: a.window.is_some(),
            capped: a.soft_cap.is_some(),
            scored: B::SOME,
        };
        let score = move |s: Val<f32>, head: Val<usize>, query: Val<usize>, key: Val<usize>| {
            if B::SOME { s + bias.at(head, query, key) } else { s }
        };
        launch::run(Call { a, form, deterministic, score }, forward, d_out, gradients, sinks)
    }
}

fn check<T: Float, O: Float>(
    a: &Attention,
    forward: &Forward<'_, T, O>,
    d_out: &Buffer<O>,
    gradients: &Gradients<'_, T>,
) -> Result<(), Error> {
    a.check()?;
    for (argument, d) in [("dimension", a.dimension), ("value_dimension", a.value_dimension)] {
        if d > MOST {
            let rule = format!("gradients are there of head dimensions up to {MOST}");
            return Err(Error::Shape { argument, found: format!("the value {d}"), rule });
        }
    }
    let (queries, keys) = (a.query_elements(), a.key_elements());
    let (outputs, values) = (a.output_elements(), a.value_elements());
    let (of_queries, of_keys) =
        ("batch * heads * queries * dimension", "batch * kv_heads * keys * dimension");
    let (of_outputs, of_values) =
        ("batch * heads * queries * value_dimension", "batch * kv_heads * keys * value_dimension");
    check_len("q", forward.q.len(), of_queries, queries)?;
    check_len("k", forward.k.len(), of_keys, keys)?;
    check_len("v", forward.v.len(), of_values, values)?;
    check_len("out", forward.out.len(), of_outputs, outputs)?;
    let rows = queries.map(|elements| elements / a.dimension);
    check_len("lse", forward.lse.len(), "batch * heads * queries", rows)?;
    check_len("d_out", d_out.len(), of_outputs, outputs)?;
    check_len("dq", gradients.dq.len(), of_queries, queries)?;
    check_len("dk", gradients.dk.len(), of_keys, keys)?;
    check_len("dv", gradients.dv.len(), of_values, values)
}
