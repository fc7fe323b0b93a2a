//! Products, with bounds that follow from the arithmetic.

use kernelsmith::{Buffer, Device, bf16};
use kernelsmith_kernels::quant::{Format, QuantizedMatrix, quantized_matmul};
use proptest::prelude::*;

/// What may be off in `sum(w * x)` of a row: each activation by half a step of its 32, the greatest of
/// which is `a / 254`; each of `k / 16` sums by a few roundings of `f32`, and their sum by as many.
fn product(k: usize, x: &[f32], w: &[f64]) -> (f64, f64) {
    let (mut sum, mut bound) = (0.0, 0.0);
    let roundings = (k / 16 + 8) as f64 * 2f64.powi(-24);
    for (x, w) in x.chunks(32).zip(w.chunks(32)) {
        let greatest = x.iter().fold(0.0, |a: f64, &x| a.max(f64::from(x).abs()));
        // Formats without signs add up the codes from 0 and subtract what that is too much.
        let most = w.iter().fold(0.0, |a: f64, w| a.max(w.abs()));
        for (x, w) in x.iter().zip(w) {
            sum += f64::from(*x) * w;
            bound += w.abs() * greatest / 254.0 * (1.0 + 1e-5);
            bound += (w.abs() + 3.0 * most) * greatest * roundings;
        }
    }
    (sum, bound + 1e-30)
}

pub(crate) fn check(device: &Device, w: &QuantizedMatrix, m: usize, x: &[f32]) {
    let [n, k] = w.shape();
    let weights = w.dequantize().unwrap();
    // A buffer with values that are none of the results.
    let mut y = Buffer::from_slice(device, &vec![f32::NAN; m * n]).unwrap();
    quantized_matmul(m, &Buffer::from_slice(device, x).unwrap(), w, &mut y).unwrap();
    device.synchronize().unwrap();
    let y = y.to_vec().unwrap();
    for row in 0..m {
        for column in 0..n {
            let x = &x[row * k..(row + 1) * k];
            let (expected, bound) = product(k, x, &weights[column * k..(column + 1) * k]);
            let error = (f64::from(y[row * n + column]) - expected).abs();
            let context = format!("m {m}, n {n}, k {k}, row {row}, column {column}");
            assert!(error <= bound, "{context}: off by {error:e}, bound {bound:e} of {expected}");
        }
    }
}

pub(crate) fn numbers(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(0x9E37_79B9).wrapping_add(0x7F4A_7C15);
        (state >> 8) as f32 / (1 << 24) as f32 * 2.0 - 1.0
    };
    (0..len).map(|_| next() + next() * next()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..Default::default() })]
    #[test]
    fn products_are_as_close_as_promised(
        format in prop::sample::select(Format::ALL.to_vec()),
        m in 0usize..20,
        n in 0usize..80,
        blocks in 0usize..6,
        seed: u32,
        exponent in -20i32..20,
    ) {
        let device = Device::cpu();
        let k = blocks * format.block_len();
        let w = QuantizedMatrix::quantize(&device, format, [n, k], &numbers(n * k, seed)).unwrap();
        let mut x = numbers(m * k, seed ^ 77);
        x.iter_mut().for_each(|x| *x *= 2f32.powi(exponent));
        check(&device, &w, m, &x);
    }
}

fn message<T>(result: Result<T, kernelsmith_kernels::Error>) -> String {
    result.err().map_or_else(String::new, |error| error.to_string())
}

#[test]
fn sizes_that_do_not_fit_are_named() {
    let device = Device::cpu();
    let load = |shape, bytes: usize| {
        message(QuantizedMatrix::from_gguf(&device, Format::Q6K, shape, &vec![0; bytes]))
    };
    assert_eq!(
        load([2, 128], 420),
        "`shape` has k = 128, but a row of Q6_K must be whole blocks of 256 weights"
    );
    assert_eq!(
        load([2, 256], 419),
        "`bytes` has 419 bytes, but Q6_K must have n * k / 256 * 210 = 420 for n = 2, k = 256"
    );
    assert!(load([usize::MAX, 256], 0).contains("the number of bytes must fit usize"));
    let weights = message(QuantizedMatrix::quantize(&device, Format::Q4_0, [2, 32], &[0.0; 63]));
    assert_eq!(weights, "`weights` has 63 elements, but it must have n * k = 64");

    let w = QuantizedMatrix::quantize(&device, Format::Q4_0, [2, 32], &[0.0; 64]).unwrap();
    let x = Buffer::<f32>::zeros(&device, 32).unwrap();
    let mut y = Buffer::<f32>::zeros(&device, 2).unwrap();
    let wide = message(quantized_matmul(2, &x, &w, &mut y));
    assert_eq!(wide, "`x` has 32 elements, but it must have m * k = 64");
    let mut short = Buffer::<f32>::zeros(&device, 1).unwrap();
    let short = message(quantized_matmul(1, &x, &w, &mut short));
    assert_eq!(short, "`y` has 1 elements, but it must have m * n = 2");
}

/// What is no number shows: in a row of X, in all results of the row; in a scale of W, in the results of
/// its row of W.
#[test]
fn what_is_no_number_spreads() {
    let device = Device::cpu();
    let (m, n, k) = (9, 40, 512);
    for format in Format::ALL {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let w = QuantizedMatrix::quantize(&device, format, [n, k], &numbers(n * k, 1)).unwrap();
            let mut x = numbers(m * k, 2);
            x[4 * k + 77] = bad;
            let mut y = Buffer::<f32>::zeros(&device, m * n).unwrap();
            quantized_matmul(m, &Buffer::from_slice(&device, &x).unwrap(), &w, &mut y).unwrap();
            for (i, y) in y.to_vec().unwrap().into_iter().enumerate() {
                assert_eq!(y.is_nan(), i / n == 4, "{format}, {bad}: row {}, {y}", i / n);
            }
        }
        // The scale of a block of row 5; infinity less infinity is NaN.
        let mut bytes = format.quantize(&numbers(n * k, 3));
        let block = (5 * k / format.block_len() + 1) * format.block_bytes();
        let scale = block + if format == Format::Q6K { 208 } else { 0 };
        for bits in [0x7e00u16, 0x7c00] {
            bytes[scale..scale + 2].copy_from_slice(&bits.to_le_bytes());
            let w = QuantizedMatrix::from_gguf(&device, format, [n, k], &bytes).unwrap();
            let x = Buffer::from_slice(&device, &numbers(m * k, 4)).unwrap();
            let mut y = Buffer::<f32>::zeros(&device, m * n).unwrap();
            quantized_matmul(m, &x, &w, &mut y).unwrap();
            for (i, y) in y.to_vec().unwrap().into_iter().enumerate() {
                assert_eq!(y.is_finite(), i % n != 5, "{format}, {bits:x}: column {}, {y}", i % n);
            }
        }
    }
}

/// The least and greatest activations: subnormal ones count as 0, the greatest have finite scales.
#[test]
fn activations_of_every_size() {
    let device = Device::cpu();
    let w = QuantizedMatrix::quantize(&device, Format::Q8_0, [3, 64], &numbers(192, 5)).unwrap();
    for scale in [1e-40, 1e-37, 1e-35, 1e30, 1e36] {
        let x: Vec<f32> = numbers(64, 6).into_iter().map(|x| x * scale).collect();
        let mut y = Buffer::<f32>::zeros(&device, 3).unwrap();
        quantized_matmul(1, &Buffer::from_slice(&device, &x).unwrap(), &w, &mut y).unwrap();
        let weights = w.dequantize().unwrap();
        for (row, y) in y.to_vec().unwrap().into_iter().enumerate() {
            let (expected, bound) = product(64, &x, &weights[64 * row..64 * row + 64]);
            assert!(
                (f64::from(y) - expected).abs() <= bound.max(2e-35),
                "{scale}: {y}, {expected}"
            );
        }
    }
}

/// The same bits each time, and half floats as the floats that they are.
#[test]
fn results_are_the_same_each_time() {
    let device = Device::cpu();
    let (m, n, k) = (3, 200, 256);
    let w = QuantizedMatrix::quantize(&device, Format::Q4K, [n, k], &numbers(n * k, 7)).unwrap();
    let halves: Vec<bf16> = numbers(m * k, 8).into_iter().map(bf16::from_f32).collect();
    let floats: Vec<f32> = halves.iter().map(|x| x.to_f32()).collect();
    let mut results = Vec::new();
    for _ in 0..3 {
        let mut y = Buffer::<f32>::zeros(&device, m * n).unwrap();
        quantized_matmul(m, &Buffer::from_slice(&device, &floats).unwrap(), &w, &mut y).unwrap();
        results.push(y.to_vec().unwrap());
        quantized_matmul(m, &Buffer::from_slice(&device, &halves).unwrap(), &w, &mut y).unwrap();
        results.push(y.to_vec().unwrap());
    }
    assert!(results.iter().all(|y| *y == results[0]));
}
