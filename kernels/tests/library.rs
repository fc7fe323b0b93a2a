//! The library's kernels on the CPU against their f64 references, on random shapes and values.

mod common;

use kernelsmith::{Buffer, bf16, f16};
use kernelsmith_kernels::elementwise::saxpy;
use kernelsmith_kernels::matmul::matmul;
use kernelsmith_kernels::norm::{layer_norm, rms_norm, softmax};
use kernelsmith_kernels::{Error, reference};
use proptest::collection::vec;
use proptest::prelude::*;

use common::*;

proptest! {
    #[test]
    fn saxpy_is_a_fused_multiply_add(a in -1e3f32..1e3, xy in vec((-1e3f32..1e3, -1e3f32..1e3), 0..600)) {
        let (xs, ys): (Vec<f32>, Vec<f32>) = xy.into_iter().unzip();
        let x = buffer(&xs);
        let mut y = buffer(&ys);
        saxpy(a, &x, &mut y).unwrap();
        // Rounded once: the same bits as mul_add.
        let expected: Vec<f32> = xs.iter().zip(&ys).map(|(x, y)| a.mul_add(*x, *y)).collect();
        prop_assert_eq!(y.to_vec().unwrap(), expected);
    }

    #[test]
    fn softmax_rows_match(rows in 0usize..9, columns in 1usize..200, scale in 0.1f32..30.0, seed in any::<u64>()) {
        let xs = values(rows * columns, scale, seed);
        let x = buffer(&xs);
        let mut y = poisoned(xs.len());
        softmax(columns, &x, &mut y).unwrap();
        assert_close(&y.to_vec().unwrap(), &reference::softmax(columns, &wide(&xs)), 2e-6)?;
    }

    #[test]
    fn norms_match(rows in 0usize..9, columns in 1usize..300, scale in 1e-3f32..1e3, seed in any::<u64>()) {
        let xs = values(rows * columns, scale, seed);
        let [ws, bs] = [1, 2].map(|i| values(columns, 2.0, seed ^ i));
        let [x, w, b] = [&xs, &ws, &bs].map(|x| buffer(x));
        let [xs, ws, bs] = [wide(&xs), wide(&ws), wide(&bs)];
        let mut y = poisoned(xs.len());
        rms_norm(columns, 1e-6, &x, &w, &mut y).unwrap();
        // Results are at most sqrt(columns) times the weight.
        let allowed = 1e-5 * (columns as f64).sqrt();
        assert_close(&y.to_vec().unwrap(), &reference::rms_norm(columns, 1e-6, &xs, &ws), allowed)?;
        layer_norm(columns, 1e-6, &x, &w, &b, &mut y).unwrap();
        let expected = reference::layer_norm(columns, 1e-6, &xs, &ws, &bs);
        assert_close(&y.to_vec().unwrap(), &expected, allowed)?;
    }

    #[test]
    fn matmul_matches_on_any_shape(m in 0usize..150, n in 0usize..150, k in 0usize..300, seed in any::<u64>()) {
        let (xs, ys) = (values(m * k, 1.0, seed), values(k * n, 1.0, !seed));
        let a = buffer(&xs);
        let b = buffer(&ys);
        let mut c = poisoned(m * n);
        matmul((m, n, k), &a, &b, &mut c).unwrap();
        // k roundings of sums of at most k products in [-1, 1].
        let allowed = (k * k) as f64 * f64::from(f32::EPSILON);
        let expected = reference::matmul(m, n, k, &wide(&xs), &wide(&ys));
        assert_close(&c.to_vec().unwrap(), &expected, allowed)?;
    }

    #[test]
    fn matmul_of_small_floats_rounds_nothing_but_sums(m in 1usize..40, n in 1usize..80, k in 1usize..80, seed in any::<u64>()) {
        let (xs, ys) = (values(m * k, 1.0, seed), values(k * n, 1.0, !seed));
        let allowed = (k * k) as f64 * f64::from(f32::EPSILON);
        macro_rules! check {
            ($ty:ty) => {{
                let xs: Vec<$ty> = xs.iter().map(|&x| <$ty>::from_f32(x)).collect();
                let ys: Vec<$ty> = ys.iter().map(|&y| <$ty>::from_f32(y)).collect();
                let a = buffer(&xs);
                let b = buffer(&ys);
                let mut c = poisoned(m * n);
                matmul((m, n, k), &a, &b, &mut c).unwrap();
                let xs: Vec<f64> = xs.iter().map(|x| x.to_f64()).collect();
                let ys: Vec<f64> = ys.iter().map(|y| y.to_f64()).collect();
                assert_close(&c.to_vec().unwrap(), &reference::matmul(m, n, k, &xs, &ys), allowed)?;
            }};
        }
        check!(bf16);
        check!(f16);
    }
}

#[test]
fn softmax_of_infinities_and_nan_is_as_defined() {
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    let rows = [[0.0, -inf, 0.0], [inf, 0.0, 0.0], [nan, 0.0, 0.0], [-inf, -inf, -inf]];
    let x = buffer(rows.as_flattened());
    let mut y = poisoned(12);
    softmax(3, &x, &mut y).unwrap();
    let y = y.to_vec().unwrap();
    assert_eq!(&y[..3], [0.5, 0.0, 0.5]);
    assert!(y[3].is_nan() && y[9..].iter().all(|y| y.is_nan()), "{y:?}");
    assert!(y[6..9].iter().any(|y| y.is_nan()), "{y:?}");
}

#[test]
fn matmul_passes_nan_and_infinity_on() {
    let a = buffer(&[f32::NAN, 0.0, f32::INFINITY, 1.0]);
    let b = buffer(&[1.0f32, 0.0, 0.0, 1.0]);
    let mut c = poisoned(4);
    matmul((2, 2, 2), &a, &b, &mut c).unwrap();
    let c = c.to_vec().unwrap();
    assert!(c[0].is_nan() && c[1].is_nan());
    assert!(c[2] == f32::INFINITY && c[3].is_nan(), "inf * 0 is NaN: {c:?}");
}

#[test]
fn wrong_shapes_name_argument_value_and_rule() {
    let a = Buffer::<f32>::zeros(&device(), 5).unwrap();
    let b = Buffer::<f32>::zeros(&device(), 6).unwrap();
    let mut c = Buffer::<f32>::zeros(&device(), 4).unwrap();
    let error = matmul((2, 2, 3), &a, &b, &mut c).unwrap_err();
    assert_eq!(error.to_string(), "`a` has 5 elements, but it must have m * k = 6");
    let error = matmul((2, usize::MAX, 3), &b, &b, &mut c).unwrap_err();
    assert!(matches!(error, Error::Shape { argument: "b", .. }), "{error}");
    let error = softmax(3, &c.try_clone().unwrap(), &mut c).unwrap_err();
    assert!(matches!(error, Error::Shape { argument: "y", .. }), "{error}");
}

#[test]
fn norms_of_small_floats_round_once() {
    let round = |v: Vec<f32>| v.into_iter().map(bf16::from_f32).collect::<Vec<bf16>>();
    let (columns, rows) = (100, 7);
    let (xs, ws) = (round(values(rows * columns, 3.0, 5)), round(values(columns, 1.0, 6)));
    let [x, w] = [&xs, &ws].map(|x| buffer(x));
    let mut y = buffer(&vec![bf16::NAN; xs.len()]);
    rms_norm(columns, 1e-6, &x, &w, &mut y).unwrap();
    let [xs, ws] = [&xs, &ws].map(|v| v.iter().map(|x| x.to_f64()).collect::<Vec<f64>>());
    let expected = reference::rms_norm(columns, 1e-6, &xs, &ws);
    for (found, expected) in y.to_vec().unwrap().into_iter().zip(expected) {
        // Half a unit of 8 bits' last place.
        assert!((found.to_f64() - expected).abs() <= expected.abs() / 255.0, "{found} {expected}");
    }
    let error = rms_norm(columns, 1e-6, &x, &x, &mut y).unwrap_err();
    assert_eq!(error.to_string(), "`weight` has 700 elements, but it must have columns = 100");
}

#[test]
fn results_are_the_same_bits_from_run_to_run() {
    let (m, n, k) = (200, 130, 520);
    let a = buffer(&values(m * k, 1.0, 7));
    let b = buffer(&values(k * n, 1.0, 8));
    let run = || {
        let mut c = poisoned(m * n);
        matmul((m, n, k), &a, &b, &mut c).unwrap();
        c.to_vec().unwrap()
    };
    let first = run();
    for _ in 0..5 {
        assert_eq!(run(), first);
    }
}

/// Small integers: sums of bf16 are exact, too, whatever the instructions.
#[test]
fn products_of_bytes_and_bf16_are_exact_on_every_instruction_set() {
    for (m, n, k) in [(1, 1, 1), (5, 33, 7), (40, 64, 66), (200, 40, 131)] {
        let x: Vec<i8> = (0..m * k).map(|i| (i * 7919 % 255) as u8 as i8).collect();
        let y: Vec<i8> = (0..k * n).map(|i| (i * 104_729 % 251) as u8 as i8).collect();
        let expected: Vec<i32> = (0..m * n)
            .map(|i| {
                (0..k).map(|p| i32::from(x[i / n * k + p]) * i32::from(y[p * n + i % n])).sum()
            })
            .collect();
        let [a, b] = [&x, &y].map(|x| buffer(x));
        let mut c = Buffer::<i32>::zeros(&device(), m * n).unwrap();
        matmul((m, n, k), &a, &b, &mut c).unwrap();
        assert_eq!(c.to_vec().unwrap(), expected, "{m} x {n} x {k}");
        // At most 131 products of 2^14: all sums are integers below 2^24.
        let [a, b] = [&x, &y].map(|x| {
            let x: Vec<bf16> = x.iter().map(|&x| bf16::from_f32(x.into())).collect();
            buffer(&x)
        });
        let mut c = poisoned(m * n);
        matmul((m, n, k), &a, &b, &mut c).unwrap();
        let expected: Vec<f32> = expected.into_iter().map(|x| x as f32).collect();
        assert_eq!(c.to_vec().unwrap(), expected, "{m} x {n} x {k}");
    }
}
