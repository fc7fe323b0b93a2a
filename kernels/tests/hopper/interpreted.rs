//! The numbers, by the interpreter: with schedules of its own, and every access checked. It would
//! find a race, a barrier that nobody comes to, sums that are read too early.

use kernelsmith::prelude::*;
use kernelsmith_kernels::attention::hopper::attention_forward;
use kernelsmith_kernels::matmul::hopper::Order::{self, AcrossK, AlongK};
use kernelsmith_kernels::matmul::hopper::matmul_cooperative;
use kernelsmith_kernels::reference;

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

fn buffer(device: &Device, numbers: &[f64]) -> Buffer<bf16> {
    let numbers: Vec<bf16> = numbers.iter().map(|&x| bf16::from_f64(x)).collect();
    Buffer::from_slice(device, &numbers).unwrap()
}

fn transposed(x: &[f64], rows: usize, columns: usize) -> Vec<f64> {
    (0..columns).flat_map(|j| (0..rows).map(move |i| x[i * columns + j])).collect()
}

/// One product, by `blocks` blocks, against f64 rounded.
fn check_matmul([m, n, k]: [usize; 3], a_order: Order, b_order: Order, blocks: usize) {
    let device = Device::interpreter();
    let (a, b) = (numbers(1, m * k), numbers(2, k * n));
    let expected = reference::matmul(m, n, k, &a, &b);
    let (a, a_shape) = match a_order {
        AlongK => (a, [m, k]),
        AcrossK => (transposed(&a, m, k), [k, m]),
    };
    let (b, b_shape) = match b_order {
        AlongK => (transposed(&b, k, n), [n, k]),
        AcrossK => (b, [k, n]),
    };
    let (a, b) = (buffer(&device, &a), buffer(&device, &b));
    let mut c = buffer(&device, &vec![f64::NAN; m * n]);
    matmul_cooperative::<bf16, 128, 2, _>(
        a_order,
        b_order,
        |x| x,
        View::of(&a, a_shape),
        View::of(&b, b_shape),
        View::of_mut(&mut c, [m, n]),
    )
    .grid(blocks)
    .launch(&device)
    .unwrap();
    let found = c.to_vec().unwrap();
    for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
        // Products and sums of these numbers are exact in f32; one rounding is left.
        let expected = bf16::from_f64(*expected);
        assert_eq!(*found, expected, "{m} x {n} x {k}, row {}, column {}", i / n, i % n);
    }
}

#[test]
fn matmul_of_one_tile() {
    check_matmul([128, 128, 64], AlongK, AlongK, 1);
}

#[test]
fn matmul_of_several_tiles_and_odd_ends() {
    check_matmul([200, 264, 200], AlongK, AlongK, 2);
}

#[test]
fn matmul_in_the_other_orders() {
    check_matmul([136, 136, 104], AlongK, AcrossK, 1);
    check_matmul([136, 136, 104], AcrossK, AlongK, 3);
    check_matmul([72, 136, 72], AcrossK, AcrossK, 1);
}

/// One head, or some, against f64.
fn check_attention([heads, group, m, n]: [usize; 4], causal: bool) {
    const D: usize = 64;
    let device = Device::interpreter();
    let kv_heads = heads / group;
    let q = numbers(3, heads * m * D);
    let (k, v) = (numbers(4, kv_heads * n * D), numbers(5, kv_heads * n * D));
    let buffers = [&q, &k, &v].map(|x| buffer(&device, x));
    let mut o = buffer(&device, &vec![f64::NAN; heads * m * D]);
    let scale = 1.0 / (D as f64).sqrt();
    let scale_log2 = (scale * std::f64::consts::LOG2_E) as f32;
    attention_forward::<bf16, D, 128, 2>(
        scale_log2,
        group,
        causal,
        View::of(&buffers[0], [heads, m, D]),
        View::of(&buffers[1], [kv_heads, n, D]),
        View::of(&buffers[2], [kv_heads, n, D]),
        View::of_mut(&mut o, [heads, m, D]),
    )
    .grid([m.div_ceil(128), heads, 1])
    .launch(&device)
    .unwrap();
    let found = o.to_vec().unwrap();
    for head in 0..heads {
        let of = |x: &[f64], head: usize, rows: usize| {
            x[head * rows * D..(head + 1) * rows * D].to_vec()
        };
        let (q, k, v) = (of(&q, head, m), of(&k, head / group, n), of(&v, head / group, n));
        for row in 0..m {
            let seen = if causal { (row + n + 1).saturating_sub(m).min(n) } else { n };
            let expected = attend(&q[row * D..][..D], &k, &v, seen, scale);
            for (e, expected) in expected.into_iter().enumerate() {
                let found = found[(head * m + row) * D + e].to_f64();
                // Weights and outputs are rounded to bf16, whose unit in the last place is 2^-8.
                let bound = 2.0 * 2f64.powi(-8);
                assert!((found - expected).abs() <= bound, "{head} {row} {e}: {found} {expected}");
            }
        }
    }
}

fn attend(q: &[f64], k: &[f64], v: &[f64], seen: usize, scale: f64) -> Vec<f64> {
    let d = q.len();
    let dot = |j: usize| q.iter().zip(&k[j * d..]).map(|(a, b)| a * b).sum::<f64>() * scale;
    let weights: Vec<f64> = (0..seen).map(|j| dot(j).exp()).collect();
    let sum: f64 = weights.iter().sum();
    let column = |e: usize| (0..seen).map(|j| weights[j] * v[j * d + e]).sum::<f64>();
    (0..d).map(|e| if seen == 0 { 0.0 } else { column(e) / sum }).collect()
}

#[test]
fn attention_to_all_keys() {
    check_attention([1, 1, 128, 128], false);
    check_attention([2, 2, 72, 300], false);
}

#[test]
fn causal_attention() {
    check_attention([1, 1, 200, 200], true);
    check_attention([1, 1, 40, 168], true);
    check_attention([1, 1, 136, 40], true);
}
