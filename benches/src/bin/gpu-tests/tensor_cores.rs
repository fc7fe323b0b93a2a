//! Tensor cores, `ldmatrix` and `cp.async`: the kernels that the emulator runs without a GPU, here on
//! one. Whole numbers, so that results are exact in any order of summation.

use kernelsmith::prelude::*;
use kernelsmith_benches::gpu::max_error;
use kernelsmith_kernels::reference;

use crate::Outcome;
use crate::cases::{Case, case};

#[path = "../../../../kernels/tests/tensor_cores/kernels.rs"]
mod kernels;

pub(crate) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for shape @ (m, n, k) in [(16, 8, 16), (32, 24, 64), (64, 64, 160)] {
        let text = format!("{m}x{n}x{k}");
        cases.push(case("mma f16 m16n8k8", &text, move |device| {
            tiles::<MmaSync<f16, 16, 8, 8>>(device, shape)
        }));
        cases.push(case("mma f16 m16n8k16", &text, move |device| {
            tiles::<MmaSync<f16, 16, 8, 16>>(device, shape)
        }));
        cases.push(case("mma bf16 m16n8k16", &text, move |device| {
            tiles::<MmaSync<bf16, 16, 8, 16>>(device, shape)
        }));
    }
    for shape @ (m, n, k) in [(32, 32, 32), (64, 96, 160), (256, 128, 1024)] {
        let text = format!("{m}x{n}x{k}");
        cases.push(case("pipelined f16", &text, move |device| pipelined::<f16>(device, shape)));
        cases.push(case("pipelined bf16", &text, move |device| pipelined::<bf16>(device, shape)));
    }
    cases
}

/// Numbers from -14 to 14.
fn numbers(len: usize, seed: usize) -> Vec<f64> {
    (0..len).map(|i| ((i * 37 + seed * 101) % 29) as f64 - 14.0).collect()
}

fn narrow<T: Float>(device: &Device, values: &[f64]) -> Result<Buffer<T>, kernelsmith::Error> {
    Ok(Buffer::from_slice(device, &values.iter().map(|&x| T::lit(x)).collect::<Vec<T>>())?)
}

fn tiles<S: MmaAtom<Sum = f32>>(device: &Device, (m, n, k): (usize, usize, usize)) -> Outcome
where
    S::Input: Float,
{
    let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
    // The kernel takes b by columns.
    let columns: Vec<f64> = (0..n * k).map(|at| b[at % k * n + at / k]).collect();
    let (x, y) = (narrow::<S::Input>(device, &a)?, narrow::<S::Input>(device, &columns)?);
    let mut c = Buffer::from_slice(device, &vec![f32::NAN; m * n])?;
    kernels::tiles::<S>(n, k, &x, &y, &mut c)
        .grid((n / S::N, m / S::M))
        .block(device.target().warp_size() as usize)
        .launch(device)?;
    Ok((max_error(&c.to_vec()?, &reference::matmul(m, n, k, &a, &b)), 0.0))
}

fn pipelined<T: Float>(device: &Device, (m, n, k): (usize, usize, usize)) -> Outcome
where
    MmaSync<T, 16, 8, 16>: LdmatrixAtom<Input = T, Sum = f32>,
{
    let (a, b) = (numbers(m * k, 3), numbers(k * n, 4));
    let (x, y) = (narrow::<T>(device, &a)?, narrow::<T>(device, &b)?);
    let mut c = Buffer::from_slice(device, &vec![f32::NAN; m * n])?;
    kernels::pipelined::<T>(n, k, &x, &y, &mut c).grid((n / 32, m / 32)).launch(device)?;
    let product = reference::matmul(m, n, k, &a, &b);
    let expected: Vec<f64> = product.iter().map(|x| (2.0 * x + 1.0).max(0.0)).collect();
    Ok((max_error(&c.to_vec()?, &expected), 0.0))
}
