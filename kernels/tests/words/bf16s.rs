//! Products of bf16, by an instruction for two at a time where the processor has it.

use kernelsmith::prelude::*;
use kernelsmith_kernels::matmul::{Matmul, Output, Packed};
use proptest::prelude::*;

use super::{Lie, Tensor, indices, lie, random};

/// Small integers, of which all sums are exact, in whatever order.
fn integer(state: &mut u64) -> bf16 {
    bf16::from_f32((random(state) % 17) as f32 - 8.0)
}

fn check_exact<O: Output<f32> + Into<f64>>(
    device: &Device,
    [batch, m, n, k]: [usize; 4],
    lies: [Lie; 3],
    packed: bool,
    canary: O,
    nan: O,
) {
    let mut state = (m * 31 + n * 7 + k) as u64 | 1;
    let filler = bf16::NAN;
    let a = Tensor::new(device, [batch, m, k], lies[0], filler, || integer(&mut state));
    let b = Tensor::new(device, [batch, k, n], lies[1], filler, || integer(&mut state));
    let mut c = Tensor::new(device, [batch, m, n], lies[2], canary, || nan);
    let to = View::of_mut(&mut c.buffer, c.shape).strides(c.strides);
    if packed {
        let packed = Packed::new(b.view()).unwrap();
        Matmul::new(a.view(), &packed).run(to).unwrap();
    } else {
        Matmul::new(a.view(), b.view()).run(to).unwrap();
    }
    device.synchronize().unwrap();
    for (at, found) in indices(c.shape).zip(c.read(canary)) {
        let [s, row, column] = at;
        let products = (0..k).map(|p| a.at([s, row, p]).to_f32() * b.at([s, p, column]).to_f32());
        let sum: f32 = products.sum();
        // A result of 16 bits is the sum rounded.
        let off = (found.into() - f64::from(sum)).abs();
        let allowed = if size_of::<O>() == 2 { f64::from(sum).abs() / 256.0 } else { 0.0 };
        assert!(off <= allowed, "{m} x {n} x {k} {lies:?} at {at:?}: {found:?}, not {sum}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn sums_of_integers_are_exact(
        (batch, m, n, k) in (1usize..3, 0usize..80, 0usize..70, 0usize..200),
        lies in [lie(), lie(), lie()],
        packed: bool,
    ) {
        let (device, shape) = (Device::cpu(), [batch, m, n, k]);
        check_exact::<f32>(&device, shape, lies, packed, -7.0, f32::NAN);
        check_exact::<bf16>(&device, shape, lies, packed, bf16::ONE, bf16::NAN);
    }
}

/// Sums are f32 between the pieces of a deep product, also where C is not.
#[test]
fn deep_products_are_exact() {
    let device = Device::cpu();
    for lies in [[Lie::Rows; 3], [Lie::Columns, Lie::Columns, Lie::Rows], [Lie::Columns; 3]] {
        let shape = [1, 14, 40, 4103];
        check_exact::<f32>(&device, shape, lies, true, -7.0, f32::NAN);
        check_exact::<f16>(&device, shape, lies, false, f16::ONE, f16::NAN);
    }
}

/// Also with the instruction for CPUs, which it computes itself.
#[test]
fn the_interpreter_finds_nothing() {
    for target in ["cpu", "sm_90a", "gfx942"] {
        let device = Device::interpreter_for(target.parse().unwrap());
        for lies in [[Lie::Rows; 3], [Lie::Columns, Lie::Columns, Lie::Rows]] {
            check_exact::<f32>(&device, [2, 13, 34, 19], lies, false, -7.0, f32::NAN);
            check_exact::<f32>(&device, [1, 5, 9, 70], lies, true, -7.0, f32::NAN);
        }
    }
}

/// What fills up the last pair is no factor of anything: an infinity stays one.
#[test]
fn infinities_and_nans_pass_and_stay_apart() {
    let device = Device::cpu();
    for k in [1, 2, 3, 64, 65] {
        for high in [1, 40] {
            let mut x = vec![bf16::ONE; high * k];
            x[k - 1] = bf16::INFINITY;
            let mut y = vec![bf16::ONE; k * 3];
            y[(k - 1) * 3 + 1] = bf16::NAN;
            y[(k - 1) * 3 + 2] = bf16::NEG_INFINITY;
            let [a, b] = [&x, &y].map(|x| Buffer::from_slice(&device, x).unwrap());
            let mut c = Buffer::<f32>::zeros(&device, high * 3).unwrap();
            let to = View::of_mut(&mut c, [high, 3]);
            Matmul::new(View::of(&a, [high, k]), View::of(&b, [k, 3])).run(to).unwrap();
            let c = c.to_vec().unwrap();
            assert_eq!((c[0], c[2]), (f32::INFINITY, f32::NEG_INFINITY), "k = {k}");
            assert!(c[1].is_nan(), "k = {k}");
            for row in c.chunks(3).skip(1) {
                assert_eq!((row[0], row[2]), (k as f32, f32::NEG_INFINITY), "k = {k}");
                assert!(row[1].is_nan(), "k = {k}");
            }
        }
    }
}

/// A denormal counts as it is or as zero, and hurts no other product.
#[test]
fn denormals_count_or_are_zero() {
    let device = Device::cpu();
    let tiny = bf16::from_bits(1);
    let a = Buffer::from_slice(&device, &[tiny, bf16::ONE, tiny]).unwrap();
    let large = bf16::from_f32(2f32.powi(120));
    let b = Buffer::from_slice(&device, &[large, bf16::ONE, large]).unwrap();
    let mut c = Buffer::<f32>::zeros(&device, 1).unwrap();
    Matmul::new(View::of(&a, [1, 3]), View::of(&b, [3, 1]))
        .run(View::of_mut(&mut c, [1, 1]))
        .unwrap();
    let sum = c.to_vec().unwrap()[0];
    let all = 1.0 + 2.0 * tiny.to_f32() * large.to_f32();
    assert!(sum == 1.0 || sum == all, "{sum}, not 1 or {all}");
}

#[test]
fn results_are_the_same_bits_from_run_to_run() {
    let (device, n) = (Device::cpu(), 150);
    let mut state = 9;
    let numbers: Vec<bf16> = (0..n * n)
        .map(|_| bf16::from_f32(random(&mut state) as f32 / 2f32.powi(47) - 1.0))
        .collect();
    let a = Buffer::from_slice(&device, &numbers).unwrap();
    let run = || {
        let mut c = Buffer::<f32>::zeros(&device, n * n).unwrap();
        let to = View::of_mut(&mut c, [n, n]);
        Matmul::new(View::of(&a, [n, n]), View::of(&a, [n, n])).run(to).unwrap();
        c.to_vec().unwrap().into_iter().map(f32::to_bits).collect::<Vec<_>>()
    };
    let first = run();
    for _ in 0..4 {
        assert_eq!(run(), first);
    }
    // Products are at most 1: n roundings of a sum of about sqrt(n), 8 standard deviations.
    let x: Vec<f64> = numbers.iter().map(|x| x.to_f64()).collect();
    for (i, bits) in first.into_iter().enumerate() {
        let (row, column) = (i / n, i % n);
        let sum: f64 = (0..n).map(|p| x[row * n + p] * x[p * n + column]).sum();
        let off = (f64::from(f32::from_bits(bits)) - sum).abs();
        assert!(off <= 8.0 * n as f64 * f64::from(f32::EPSILON), "element {i}: off by {off}");
    }
}
