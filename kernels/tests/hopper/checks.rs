//! What the kernels of Hopper compute, on any device that runs them, against f64. The hardware tests
//! run these too.

use kernelsmith::prelude::*;
use kernelsmith_kernels::attention::hopper::attention_forward;
use kernelsmith_kernels::matmul::hopper::Order::{self, AcrossK, AlongK};
use kernelsmith_kernels::matmul::hopper::matmul_cooperative;
use kernelsmith_kernels::matmul::{Matmul, Steps};
use kernelsmith_kernels::reference;

/// The largest error, and the largest allowed.
pub(super) type Checked = Result<(f64, f64), Box<dyn std::error::Error>>;

/// Numbers from -1 to 1 that bf16 and f16 hold exactly.
fn numbers(seed: u64, len: usize) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % 129) as f64 / 64.0 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

fn buffer<T: Float>(device: &Device, numbers: &[f64]) -> Result<Buffer<T>, kernelsmith::Error> {
    let numbers: Vec<T> = numbers.iter().map(|&x| T::lit(x)).collect();
    Ok(Buffer::from_slice(device, &numbers)?)
}

/// The largest difference; infinite where a number is NaN.
fn worst(found: impl IntoIterator<Item = f64>, expected: impl IntoIterator<Item = f64>) -> f64 {
    let errors = found.into_iter().zip(expected).map(|(x, y)| (x - y).abs());
    errors.map(|e| if e.is_nan() { f64::INFINITY } else { e }).fold(0.0, f64::max)
}

fn transposed(x: &[f64], rows: usize, columns: usize) -> Vec<f64> {
    (0..columns).flat_map(|j| (0..rows).map(move |i| x[i * columns + j])).collect()
}

/// One product, by `blocks` blocks. Products and sums of these numbers are exact in f32 for depths up
/// to 4096, so that one rounding is left, and the error is 0.
pub(super) fn matmul<const BN: usize, const STAGES: usize>(
    device: &Device,
    [m, n, k]: [usize; 3],
    [a_order, b_order]: [Order; 2],
    blocks: usize,
) -> Checked
where
    Wgmma<bf16, BN>: WgmmaAtom<Input = bf16, Sum = f32>,
{
    let (a, b) = (numbers(1, m * k), numbers(2, k * n));
    let expected = reference::matmul(m, n, k, &a, &b);
    let (a, a_shape) = match a_order {
        AlongK => (a, [1, m, k]),
        AcrossK => (transposed(&a, m, k), [1, k, m]),
    };
    let (b, b_shape) = match b_order {
        AlongK => (transposed(&b, k, n), [1, n, k]),
        AcrossK => (b, [1, k, n]),
    };
    let (a, b) = (buffer::<bf16>(device, &a)?, buffer::<bf16>(device, &b)?);
    let mut c = buffer::<bf16>(device, &vec![f64::NAN; m * n])?;
    matmul_cooperative::<bf16, bf16, BN, STAGES, _>(
        1.0,
        a_order,
        b_order,
        Steps::default(),
        |x| x,
        View::of(&a, a_shape),
        View::of(&b, b_shape),
        None,
        None,
        View::of_mut(&mut c, [1, m, n]),
    )
    .grid(blocks)
    .launch(device)?;
    let rounded = expected.into_iter().map(|x| bf16::from_f64(x).to_f64());
    Ok((worst(c.to_vec()?.into_iter().map(f64::from), rounded), 0.0))
}

/// Some heads of dimension `D`. Weights and outputs are rounded to bf16, whose unit in the last place
/// is 2^-8.
pub(super) fn attention<const D: usize>(
    device: &Device,
    [heads, group, m, n]: [usize; 4],
    causal: bool,
) -> Checked
where
    Wgmma<bf16, D>: WgmmaAtom<Input = bf16, Sum = f32>,
{
    let kv_heads = heads / group;
    let q = numbers(3, heads * m * D);
    let (k, v) = (numbers(4, kv_heads * n * D), numbers(5, kv_heads * n * D));
    let (q_buffer, k_buffer) = (buffer::<bf16>(device, &q)?, buffer::<bf16>(device, &k)?);
    let v_buffer = buffer::<bf16>(device, &v)?;
    let mut o = buffer::<bf16>(device, &vec![f64::NAN; heads * m * D])?;
    let scale = 1.0 / (D as f64).sqrt();
    attention_forward::<bf16, D, 128, 2>(
        (scale * std::f64::consts::LOG2_E) as f32,
        group,
        causal,
        View::of(&q_buffer, [heads, m, D]),
        View::of(&k_buffer, [kv_heads, n, D]),
        View::of(&v_buffer, [kv_heads, n, D]),
        View::of_mut(&mut o, [heads, m, D]),
    )
    .grid([m.div_ceil(128), heads, 1])
    .launch(device)?;
    let mut expected = Vec::new();
    for head in 0..heads {
        let kv = head / group * n * D..(head / group + 1) * n * D;
        for row in 0..m {
            let seen = if causal { (row + n + 1).saturating_sub(m).min(n) } else { n };
            let q = &q[(head * m + row) * D..][..D];
            expected.extend(attend(q, &k[kv.clone()], &v[kv.clone()], seen, scale));
        }
    }
    let found = o.to_vec()?.into_iter().map(f64::from);
    Ok((worst(found, expected), 2.0 * 2f64.powi(-8)))
}

fn attend(q: &[f64], k: &[f64], v: &[f64], seen: usize, scale: f64) -> Vec<f64> {
    let d = q.len();
    let dot = |j: usize| q.iter().zip(&k[j * d..]).map(|(a, b)| a * b).sum::<f64>() * scale;
    let weights: Vec<f64> = (0..seen).map(|j| dot(j).exp()).collect();
    let sum: f64 = weights.iter().sum();
    let column = |e: usize| (0..seen).map(|j| weights[j] * v[j * d + e]).sum::<f64>();
    (0..d).map(|e| if seen == 0 { 0.0 } else { column(e) / sum }).collect()
}

/// What users call takes Hopper's kernel by itself, with its epilogue, its batches, its f32 outputs.
pub(super) fn library(device: &Device, [batch, m, n, k]: [usize; 4]) -> Checked {
    let (a, b) = (numbers(6, batch * m * k), numbers(7, batch * k * n));
    let (bias, residual) = (numbers(8, n), numbers(9, batch * m * n));
    let (a_buffer, b_buffer) = (buffer::<bf16>(device, &a)?, buffer::<bf16>(device, &b)?);
    let (bias_buffer, residual_buffer) =
        (buffer::<f32>(device, &bias)?, buffer(device, &residual)?);
    let mut c = buffer::<f32>(device, &vec![f64::NAN; batch * m * n])?;
    Matmul::new(View::of(&a_buffer, [batch, m, k]), View::of(&b_buffer, [batch, k, n]))
        .alpha(0.5)
        .bias(&bias_buffer)
        .map(|x: Val<f32>| x.max(Val::from(0.0)))
        .residual(View::of(&residual_buffer, [batch, m, n]))
        .run(View::of_mut(&mut c, [batch, m, n]))?;
    let mut expected = Vec::new();
    for i in 0..batch {
        let (a, b) = (&a[i * m * k..][..m * k], &b[i * k * n..][..k * n]);
        for (at, sum) in reference::matmul(m, n, k, a, b).into_iter().enumerate() {
            expected.push((0.5 * sum + bias[at % n]).max(0.0) + residual[i * m * n + at]);
        }
    }
    Ok((worst(c.to_vec()?.into_iter().map(f64::from), expected), 0.0))
}
