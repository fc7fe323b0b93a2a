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
    let (values, outs) = (count(a.value_elements())?, count(a.output_elements())?);
    let (q, k) = (numbers(21, queries), numbers(22, keys));
    let (v, d_out) = (numbers(23, values), numbers(24, outs));
    let (out, lse) = reference::attention_and_lse(&a, |s, _, _, _| s, &q, &k, &v);
    let expected = reference::attention_backward(&a, |_, _, _| 0.0, &q, &k, &v, &d_out);

    let (q, k) = (buffer::<T>(device, &q)?, buffer::<T>(device, &k)?);
    let (v, d_out) = (buffer::<T>(device, &v)?, buffer::<T>(device, &d_out)?);
    let (out, lse) = (buffer::<T>(device, &out)?, buffer::<f32>(device, &lse)?);
    let mut first = None;
    let mut error = 0.0f64;
    for _ in 0..times {
        let poisoned = |len: usize| buffer::<T>(device, &vec![f64::NAN; len]);
        let (mut dq, mut dk, mut dv) = (poisoned(queries)?, poisoned(keys)?, poisoned(values)?);
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

/// The gradients by the sinks of an attention, which come of the statistics that the other gradients need. The
/// error is taken by the sizes of what is summed.
pub(crate) fn check_sinks<T: Float + Exact>(device: &Device, a: Attention) -> Checked {
    let count = |elements: Option<usize>| elements.ok_or("too many elements");
    let (queries, keys) = (count(a.query_elements())?, count(a.key_elements())?);
    let (q, k) = (numbers(25, queries), numbers(26, keys));
    let (v, d_out) = (numbers(27, keys), numbers(28, queries));
    let sinks: Vec<f64> = (0..a.heads).map(|h| h as f64 * 0.75 - 1.0).collect();
    let same = |s, _, _, _| s;
    let (out, lse) = reference::attention_with_sinks(&a, same, Some(&sinks), &q, &k, &v);
    let value = |x: &f64| T::near(*x).value();
    let (mut expected, mut sizes) = (vec![0.0; a.heads], vec![0.0; a.heads]);
    for (row, lse) in lse.iter().enumerate() {
        let (head, columns) =
            (row / a.queries % a.heads, row * a.dimension..(row + 1) * a.dimension);
        let products = columns.map(|at| value(&out[at]) * value(&d_out[at]));
        let weight = (sinks[head] - lse).exp();
        expected[head] -= weight * products.clone().sum::<f64>();
        sizes[head] += weight * products.map(f64::abs).sum::<f64>();
    }
    let (q, k) = (buffer::<T>(device, &q)?, buffer::<T>(device, &k)?);
    let (v, d_out) = (buffer::<T>(device, &v)?, buffer::<T>(device, &d_out)?);
    let (out, lse) = (buffer::<T>(device, &out)?, buffer::<f32>(device, &lse)?);
    let (sinks, mut d_sinks) =
        (buffer::<f32>(device, &sinks)?, buffer::<f32>(device, &vec![f64::NAN; a.heads])?);
    let zeros = |len| Buffer::<T>::zeros(device, len);
    let (mut dq, mut dk, mut dv) = (zeros(queries)?, zeros(keys)?, zeros(keys)?);
    let forward = Forward { q: &q, k: &k, v: &v, out: &out, lse: &lse };
    let gradients = Gradients { dq: &mut dq, dk: &mut dk, dv: &mut dv };
    FlashAttentionBackward::new(a).sinks(&sinks, &mut d_sinks).run(forward, &d_out, gradients)?;
    let found = d_sinks.to_vec()?;
    let shares = found.iter().zip(expected).zip(sizes);
    let shares = shares.map(|((&x, y), size)| (f64::from(x) - y) / size);
    Ok((worst(shares, vec![0.0; a.heads]), 1e-5))
}
