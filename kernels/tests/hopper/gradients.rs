//! Attention's gradients as users call them, against f64. The hardware tests run these too.

use kernelsmith::prelude::*;
use kernelsmith_kernels::attention::{Attention, FlashAttentionBackward, Forward, Gradients};
use kernelsmith_kernels::reference;

use super::checks::{Checked, Exact, buffer, numbers, worst};

/// Computes dQ, dK and dV of an attention as often as is said, and gives the largest error, each taken by the
/// largest number of its tensor. Where the order is fixed, other bits than the first time count as infinite.
///
/// Weights and the gradients of scores are rounded to `T`, and so are the results and the output that `delta` is
/// made of: with bf16 each to 2^-9 of itself at most. A sum of them is off by no more than that of the numbers'
/// sizes, a few times the sum's own, as they have all signs. A tile that is left out is an error of order 1.
pub(crate) fn check<T: Float + Exact>(
    device: &Device,
    a: Attention,
    deterministic: bool,
    times: usize,
) -> Checked {
    let count = |elements: Option<usize>| elements.ok_or("too many elements");
    let (queries, keys) = (count(a.query_elements())?, count(a.key_elements())?);
    let (q, k) = (numbers(21, queries), numbers(22, keys));
    let (v, d_out) = (numbers(23, keys), numbers(24, queries));
    let (out, lse) = reference::attention_and_lse(&a, |s, _, _, _| s, &q, &k, &v);
    let expected = reference::attention_backward(&a, |_, _, _| 0.0, &q, &k, &v, &d_out);

    let (q, k) = (buffer::<T>(device, &q)?, buffer::<T>(device, &k)?);
    let (v, d_out) = (buffer::<T>(device, &v)?, buffer::<T>(device, &d_out)?);
    let (out, lse) = (buffer::<T>(device, &out)?, buffer::<f32>(device, &lse)?);
    let mut first = None;
    let mut error = 0.0f64;
    for _ in 0..times {
        let poisoned = |len: usize| buffer::<T>(device, &vec![f64::NAN; len]);
        let (mut dq, mut dk, mut dv) = (poisoned(queries)?, poisoned(keys)?, poisoned(keys)?);
        let forward = Forward { q: &q, k: &k, v: &v, out: &out, lse: &lse };
        let gradients = Gradients { dq: &mut dq, dk: &mut dk, dv: &mut dv };
        FlashAttentionBackward::new(a)
            .deterministic(deterministic)
            .run(forward, &d_out, gradients)?;
        let mut found = Vec::new();
        for x in [dq, dk, dv] {
            found.push(x.to_vec()?.into_iter().map(T::value).collect::<Vec<f64>>());
        }
        for (found, expected) in found.iter().zip(&expected) {
            let greatest = expected.iter().fold(1e-3f64, |a, x| a.max(x.abs()));
            error = error.max(worst(found.iter().copied(), expected.iter().copied()) / greatest);
        }
        if deterministic && *first.get_or_insert_with(|| found.clone()) != found {
            error = f64::INFINITY;
        }
    }
    Ok((error, 2f64.powi(-6)))
}
