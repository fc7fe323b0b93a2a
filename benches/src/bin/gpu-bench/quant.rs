//! Products with quantised weights in layers of Llama 3: bytes of weights a second against a copy where there are
//! few rows of activations, products a second where there are many.

use kernelsmith::prelude::*;
use kernelsmith_benches::gpu::normal;
use kernelsmith_kernels::quant::{
    Int4Order, Int4Tensors, Int8Tensors, QuantizedMatrix, quantized_matmul,
};

use super::Outcome;
use super::bench::{Bench, Case, Peer, case};
use super::turns::medians;

/// `[n, k]` of layers that no L2 cache holds.
const LAYERS: [[usize; 2]; 2] = [[28672, 4096], [8192, 28672]];

/// Rows of activations: memory binds up to the third, tensor cores from the fourth on.
const ROWS: [usize; 5] = [1, 4, 16, 128, 4096];

/// Weights that have a scale in common.
const GROUP: usize = 128;

pub(crate) fn all() -> Vec<Case> {
    let layers = LAYERS.into_iter();
    layers
        .flat_map(|shape @ [n, k]| {
            [4, 8].map(|bits| {
                case(format!("w{bits}a16 {n}x{k}"), move |bench| layer(bench, bits, shape))
            })
        })
        .collect()
}

fn weights(device: &Device, bits: usize, [n, k]: [usize; 2]) -> Outcome<QuantizedMatrix> {
    let scales = vec![f16::from_f32(0.01); n * k / GROUP];
    let word = |i: usize| (i as u32).wrapping_mul(0x9E37_79B9) ^ (i as u32 >> 7);
    let shape = [n, k];
    if bits == 8 {
        let weights: Vec<i8> = (0..n * k).map(|i| (word(i) >> 24) as i8).collect();
        let tensors = Int8Tensors { shape, group: GROUP, weights: &weights, scales: &scales };
        return Ok(QuantizedMatrix::from_int8(device, &tensors)?);
    }
    let words = |len: usize| -> Vec<u32> { (0..len).map(word).collect() };
    let tensors = Int4Tensors {
        shape,
        group: GROUP,
        order: Int4Order::Gptq { less_by_one: true },
        qweight: &words(n * k / 8),
        qzeros: &words(n * k / GROUP / 8),
        scales: &scales,
    };
    Ok(QuantizedMatrix::from_int4(device, &tensors)?)
}

fn layer(bench: &mut Bench, bits: usize, shape @ [n, k]: [usize; 2]) -> Outcome<()> {
    let device = bench.device.clone();
    let w = weights(&device, bits, shape)?;
    for m in ROWS {
        let numbers: Vec<bf16> = normal(m * k, 3).into_iter().map(bf16::from_f32).collect();
        let x = Buffer::from_slice(&device, &numbers)?;
        let mut y = Buffer::<f32>::zeros(&device, m * n)?;
        let times = medians(&device, &mut [&mut |_| Ok(quantized_matmul(m, &x, &w, &mut y)?)])?;
        let seconds = times[0].as_secs_f64();
        let (case, shape) = (format!("w{bits}a16"), format!("{m}x{n}x{k}"));
        if m <= 16 {
            let copy = bench.copy.map_or(Peer::None, |copy| Peer::Rate("copy", copy));
            let rate = w.packed_bytes() as f64 / seconds / 1e9;
            bench.row(&format!("{case} few rows"), &shape, rate, "GB/s", copy)?;
        } else {
            let rate = 2.0 * (m * n * k) as f64 / seconds / 1e12;
            bench.row(&case, &shape, rate, "TFLOP/s", Peer::None)?;
        }
    }
    Ok(())
}
