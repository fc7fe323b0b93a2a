//! The library's kernels against their f64 references.

use kernelsmith::{Buffer, Device, bf16};
use kernelsmith_benches::gpu::{max_error, normal};
use kernelsmith_kernels::attention::{Attention, flash_attention};
use kernelsmith_kernels::elementwise::saxpy;
use kernelsmith_kernels::matmul::matmul;
use kernelsmith_kernels::norm::softmax;
use kernelsmith_kernels::reference;

use crate::Outcome;

/// A test.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) shape: String,
    pub(crate) run: Box<dyn Fn(&Device) -> Outcome>,
}

pub(crate) fn case(
    name: &'static str,
    shape: impl ToString,
    run: impl Fn(&Device) -> Outcome + 'static,
) -> Case {
    Case { name, shape: shape.to_string(), run: Box::new(run) }
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| x.into()).collect()
}

/// Everything, on shapes with tails, empty ones and large ones.
pub(crate) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for n in [0usize, 1, 255, 256, 257, 1 << 20, (1 << 24) + 3] {
        cases.push(case("saxpy f32", n, move |device| saxpy_case(device, n)));
    }
    for (rows, columns) in [(1usize, 1usize), (3, 31), (7, 32), (5, 33), (100, 4096), (4096, 1000)]
    {
        let shape = format!("{rows}x{columns}");
        cases.push(case("softmax f32", shape, move |device| softmax_case(device, rows, columns)));
    }
    for (m, n, k) in [
        (1usize, 1usize, 1usize),
        (64, 128, 32),
        (65, 127, 33),
        (300, 200, 100),
        (1024, 1024, 1024),
        (5, 7, 0),
    ] {
        let shape = format!("{m}x{n}x{k}");
        cases.push(case("matmul f32", &shape, move |device| matmul_f32(device, (m, n, k))));
        cases.push(case("matmul bf16", &shape, move |device| matmul_bf16(device, (m, n, k))));
    }
    for d in [32, 64, 80, 128, 256] {
        for (m, n) in [(1usize, 1usize), (33, 65), (256, 256), (100, 300), (300, 100)] {
            for causal in [false, true] {
                let shape = format!("{m}x{n} d={d} causal={causal}");
                cases.push(case("attention f32", shape, move |device| {
                    attention_case(device, m, n, d, causal)
                }));
            }
        }
    }
    cases
}

fn poisoned(device: &Device, len: usize) -> Result<Buffer<f32>, kernelsmith::Error> {
    Ok(Buffer::from_slice(device, &vec![f32::NAN; len])?)
}

fn saxpy_case(device: &Device, n: usize) -> Outcome {
    let (xs, ys) = (normal(n, 1), normal(n, 2));
    let x = Buffer::from_slice(device, &xs)?;
    let mut y = Buffer::from_slice(device, &ys)?;
    saxpy(2.5, &x, &mut y)?;
    let expected: Vec<f64> =
        xs.iter().zip(&ys).map(|(x, y)| 2.5f32.mul_add(*x, *y).into()).collect();
    // Rounded once: the very same bits.
    Ok((max_error(&y.to_vec()?, &expected), 0.0))
}

fn softmax_case(device: &Device, rows: usize, columns: usize) -> Outcome {
    let xs = normal(rows * columns, 3);
    let x = Buffer::from_slice(device, &xs)?;
    let mut y = poisoned(device, xs.len())?;
    softmax(columns, &x, &mut y)?;
    Ok((max_error(&y.to_vec()?, &reference::softmax(columns, &wide(&xs))), 1e-6))
}

/// `k` roundings of sums of about `sqrt(k)`.
fn allowed(k: usize) -> f64 {
    16.0 * (k as f64 + 1.0) * f64::from(f32::EPSILON)
}

fn matmul_f32(device: &Device, (m, n, k): (usize, usize, usize)) -> Outcome {
    let (xs, ys) = (normal(m * k, 4), normal(k * n, 5));
    let a = Buffer::from_slice(device, &xs)?;
    let b = Buffer::from_slice(device, &ys)?;
    let mut c = poisoned(device, m * n)?;
    matmul((m, n, k), &a, &b, &mut c)?;
    let expected = reference::matmul(m, n, k, &wide(&xs), &wide(&ys));
    Ok((max_error(&c.to_vec()?, &expected), allowed(k)))
}

fn matmul_bf16(device: &Device, (m, n, k): (usize, usize, usize)) -> Outcome {
    let round = |v: Vec<f32>| v.into_iter().map(bf16::from_f32).collect::<Vec<bf16>>();
    let wide = |v: &[bf16]| v.iter().map(|x| x.to_f64()).collect::<Vec<f64>>();
    let (xs, ys) = (round(normal(m * k, 6)), round(normal(k * n, 7)));
    let a = Buffer::from_slice(device, &xs)?;
    let b = Buffer::from_slice(device, &ys)?;
    let mut c = poisoned(device, m * n)?;
    matmul((m, n, k), &a, &b, &mut c)?;
    let expected = reference::matmul(m, n, k, &wide(&xs), &wide(&ys));
    Ok((max_error(&c.to_vec()?, &expected), allowed(k)))
}

fn attention_case(device: &Device, m: usize, n: usize, d: usize, causal: bool) -> Outcome {
    let (qs, ks, vs) = (normal(m * d, 8), normal(n * d, 9), normal(n * d, 10));
    let q = Buffer::from_slice(device, &qs)?;
    let k = Buffer::from_slice(device, &ks)?;
    let v = Buffer::from_slice(device, &vs)?;
    let mut out = poisoned(device, m * d)?;
    let attention = Attention::new(m, n, d);
    let attention = if causal { attention.causal() } else { attention };
    flash_attention(attention, &q, &k, &v, &mut out)?;
    let expected = reference::attention(&attention, &wide(&qs), &wide(&ks), &wide(&vs));
    Ok((max_error(&out.to_vec()?, &expected), 1e-5))
}
