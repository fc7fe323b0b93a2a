//! One backward pass: what is found, what is expected, and how far from it is allowed.

use kernelsmith::lang::{Float, Val};
use kernelsmith::prelude::*;
use kernelsmith_kernels::attention::{
    Attention, FlashAttentionBackward, Forward, Gradients, flash_attention_backward,
};
use kernelsmith_kernels::{Error, reference};

/// An element type: how far its numbers are apart, relatively and at zero, and its numbers as f64.
pub(crate) trait Number: Float {
    const EPSILON: f64;
    const TINY: f64;
    fn wide(self) -> f64;
}

macro_rules! numbers {
    ($($ty:ty: $epsilon:expr, $tiny:expr;)*) => {
        $(impl Number for $ty {
            const EPSILON: f64 = $epsilon;
            const TINY: f64 = $tiny;
            fn wide(self) -> f64 {
                self.into()
            }
        })*
    };
}

numbers! {
    f32: 1.0 / (1u32 << 23) as f64, 1e-38;
    f16: 1.0 / 1024.0, 1.0 / (1u32 << 24) as f64;
    bf16: 1.0 / 128.0, 1e-38;
}

/// Numbers in `[-1, 1]`.
pub(crate) fn values<T: Number>(len: usize, seed: u64) -> Vec<T> {
    let mut state = seed | 1;
    (0..len)
        .map(|_| {
            // xorshift64 (Marsaglia, "Xorshift RNGs", 2003).
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            T::lit((state >> 40) as f64 / (1u64 << 23) as f64 - 1.0)
        })
        .collect()
}

pub(crate) fn wide<T: Number>(x: &[T]) -> Vec<f64> {
    x.iter().map(|&x| x.wide()).collect()
}

/// A bias by head and distance, much as ALiBi's.
pub(crate) fn by_distance(head: Val<usize>, query: Val<usize>, key: Val<usize>) -> Val<f32> {
    let distance = (query.cast::<f32>() - key.cast::<f32>()).abs();
    -((head + 1).cast::<f32>() * distance / 16.0)
}

/// An attention, perhaps with a bias.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) a: Attention,
    pub(crate) biased: bool,
}

impl Case {
    pub(crate) fn bias(&self, head: usize, i: usize, j: usize) -> f64 {
        let distance = (i as f64 - j as f64).abs();
        if self.biased { -((head + 1) as f64) * distance / 16.0 } else { 0.0 }
    }

    pub(crate) fn queries(&self) -> usize {
        self.a.batch * self.a.heads * self.a.queries
    }

    pub(crate) fn keys(&self) -> usize {
        self.a.batch * self.a.kv_heads * self.a.keys
    }
}

/// Q, K, V and dO.
pub(crate) struct Inputs<T, O> {
    pub(crate) q: Vec<T>,
    pub(crate) k: Vec<T>,
    pub(crate) v: Vec<T>,
    pub(crate) d_out: Vec<O>,
}

impl<T: Number, O: Number> Inputs<T, O> {
    pub(crate) fn random(case: &Case, seed: u64) -> Self {
        let (d, dv) = (case.a.dimension, case.a.value_dimension);
        let (q, k) = (values(case.queries() * d, seed), values(case.keys() * d, !seed));
        let (v, d_out) =
            (values(case.keys() * dv, seed ^ 77), values(case.queries() * dv, seed ^ 99));
        Inputs { q, k, v, d_out }
    }

    fn wide(&self) -> [Vec<f64>; 4] {
        [wide(&self.q), wide(&self.k), wide(&self.v), wide(&self.d_out)]
    }
}

/// The output and the logarithms of the softmax's sums, rounded.
pub(crate) fn forward<T: Number, O: Number>(
    case: &Case,
    inputs: &Inputs<T, O>,
) -> (Vec<O>, Vec<f32>) {
    let [q, k, v, _] = inputs.wide();
    let score = |s, head, i, j| s + case.bias(head, i, j);
    let (out, lse) = reference::attention_and_lse(&case.a, score, &q, &k, &v);
    (out.into_iter().map(O::lit).collect(), lse.into_iter().map(|x| x as f32).collect())
}

/// Runs a backward pass on poisoned gradients.
pub(crate) fn backward<T: Number, O: Number>(
    device: &Device,
    case: &Case,
    inputs: &Inputs<T, O>,
    out: &[O],
    lse: &[f32],
) -> Result<[Vec<T>; 3], Error> {
    let buffer = |x: &[T]| Buffer::from_slice(device, x);
    let (q, k, v) = (buffer(&inputs.q)?, buffer(&inputs.k)?, buffer(&inputs.v)?);
    let (out, d_out) =
        (Buffer::from_slice(device, out)?, Buffer::from_slice(device, &inputs.d_out)?);
    let lse = Buffer::from_slice(device, lse)?;
    let poisoned = |len: usize| Buffer::from_slice(device, &vec![T::lit(f64::NAN); len]);
    let (mut dq, mut dk, mut dv) =
        (poisoned(inputs.q.len())?, poisoned(inputs.k.len())?, poisoned(inputs.v.len())?);
    let forward = Forward { q: &q, k: &k, v: &v, out: &out, lse: &lse };
    let gradients = Gradients { dq: &mut dq, dk: &mut dk, dv: &mut dv };
    if case.biased {
        let pass = FlashAttentionBackward::new(case.a).bias(by_distance);
        pass.run(forward, &d_out, gradients)?;
    } else {
        flash_attention_backward(case.a, forward, &d_out, gradients)?;
    }
    Ok([dq.to_vec()?, dk.to_vec()?, dv.to_vec()?])
}

/// Runs a case, and says where it is too far from f64.
pub(crate) fn check<T: Number, O: Number>(
    device: &Device,
    case: &Case,
    seed: u64,
) -> Result<(), String> {
    let inputs = Inputs::<T, O>::random(case, seed);
    let (out, lse) = forward(case, &inputs);
    let found = backward(device, case, &inputs, &out, &lse).map_err(|error| error.to_string())?;
    let [q, k, v, d_out] = inputs.wide();
    let bias = |head, i, j| case.bias(head, i, j);
    let expected = reference::attention_backward(&case.a, bias, &q, &k, &v, &d_out);
    let sizes = magnitudes(case, &q, &k, &v, &d_out);
    let relative = relative_error(case, &q, &k, &lse) + O::EPSILON * 0.5;
    for (g, name) in ["dq", "dk", "dv"].into_iter().enumerate() {
        let all = found[g].iter().zip(&expected[g]).zip(&sizes[g]);
        for (i, ((found, &expected), size)) in all.enumerate() {
            let allowed = relative * size + rounding::<T>(expected);
            let found = found.wide();
            // Of NaN it is none.
            let close = (found - expected).abs() <= allowed;
            if !close {
                return Err(format!("{name}[{i}]: {found}, not {expected} by {allowed}"));
            }
        }
    }
    Ok(())
}

/// What rounding a result to its type makes of it. The f32 that it is computed in may be flushed to zero.
pub(crate) fn rounding<T: Number>(x: f64) -> f64 {
    let relative = if size_of::<T>() == 2 { T::EPSILON * x.abs() } else { 0.0 };
    relative + T::TINY.max(1e-30)
}

/// The sums of the gradients' terms without their signs: what roundings are relative to.
fn magnitudes(case: &Case, q: &[f64], k: &[f64], v: &[f64], d_out: &[f64]) -> [Vec<f64>; 3] {
    let Case { a, .. } = case;
    let (d, values, m, n) = (a.dimension, a.value_dimension, a.queries, a.keys);
    let [mut dq, mut dk, mut dv] = [q, k, v].map(|x| vec![0.0; x.len()]);
    for row in 0..case.queries() {
        let (head, i) = (row / m, row % m);
        let first = head / (a.heads / a.kv_heads) * n;
        let dot = |x: &[f64], y: &[f64], j: usize| -> f64 {
            (0..d).map(|e| x[row * d + e] * y[(first + j) * d + e]).sum()
        };
        let absolute = |x: &[f64], y: &[f64], j: usize| -> f64 {
            let at = |row: usize| row * values..(row + 1) * values;
            x[at(row)].iter().zip(&y[at(first + j)]).map(|(x, y)| (x * y).abs()).sum()
        };
        let scores: Vec<f64> = a
            .seen(i)
            .map(|j| {
                let s = dot(q, k, j) * f64::from(a.scale);
                let cap = a.soft_cap.map(f64::from);
                cap.map_or(s, |cap| cap * (s / cap).tanh()) + case.bias(head, i, j)
            })
            .collect();
        let p = reference::softmax(scores.len(), &scores);
        let delta: f64 = a.seen(i).zip(&p).map(|(j, p)| p * absolute(d_out, v, j)).sum();
        for (j, p) in a.seen(i).zip(p) {
            let ds = p * (absolute(d_out, v, j) + delta) * f64::from(a.scale);
            for e in 0..d {
                let (query, key) = (row * d + e, (first + j) * d + e);
                dq[query] += ds * k[key].abs();
                dk[key] += ds * q[query].abs();
            }
            for e in 0..values {
                dv[(first + j) * values + e] += p * d_out[row * values + e].abs();
            }
        }
    }
    [dq, dk, dv]
}

/// What a term is off by: its score by a sum of `d` products, the logarithm by half a last place, the rest
/// by as many roundings as there are terms. Of random sign, their sum goes with the root of their number.
fn relative_error(case: &Case, q: &[f64], k: &[f64], lse: &[f32]) -> f64 {
    let d = case.a.dimension;
    let largest = |x: &[f64]| {
        let squares = x.chunks(d).map(|row| row.iter().map(|x| x * x).sum::<f64>());
        squares.fold(0.0, f64::max).sqrt()
    };
    let score = largest(q) * largest(k) * f64::from(case.a.scale.abs());
    let bias = case.bias(case.a.batch * case.a.heads, 0, case.a.keys + case.a.queries).abs();
    let lse = lse.iter().filter(|x| x.is_finite()).fold(0.0, |a: f64, x| a.max(x.abs().into()));
    let terms = (d + case.queries() + case.keys()) as f64;
    let roots = 2.0 * (d as f64).sqrt() * score + 8.0 * terms.sqrt();
    f32::EPSILON as f64 * (roots + 4.0 * (score + bias + lse) + 32.0)
}
