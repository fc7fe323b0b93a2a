//! Bytes with a scale for each row and each column: W8A8.

use kernelsmith::prelude::*;
use kernelsmith_kernels::matmul::{GroupedScaledMatmul, ScaledMatmul, Scales};
use proptest::prelude::*;

use super::random;

/// Numbers from -4 to 4.
fn numbers(len: usize, state: &mut u64) -> Vec<f32> {
    (0..len).map(|_| (random(state) % 8001) as f32 / 1000.0 - 4.0).collect()
}

fn bytes(len: usize, state: &mut u64) -> Vec<i8> {
    (0..len).map(|_| random(state) as i8).collect()
}

fn check([m, n, k]: [usize; 3], seed: u64, per_row: bool, with_bias: bool) {
    let (device, mut state) = (Device::cpu(), seed | 1);
    let (a, b) = (bytes(m * k, &mut state), bytes(n * k, &mut state));
    let [rows, columns] = if per_row { [m, n] } else { [1, 1] };
    let (of_a, of_b) = (numbers(rows, &mut state), numbers(columns, &mut state));
    let bias = numbers(n, &mut state);
    let put = |x: &[f32]| Buffer::from_slice(&device, x).unwrap();
    let (a_buffer, b_buffer) =
        (Buffer::from_slice(&device, &a).unwrap(), Buffer::from_slice(&device, &b).unwrap());
    let (a_scales, b_scales, bias_buffer) = (put(&of_a), put(&of_b), put(&bias));
    let scales = match per_row {
        true => Scales::per_row(&a_scales, &b_scales),
        false => Scales::per_tensor(&a_scales, &b_scales),
    };
    let mut c = put(&vec![f32::NAN; m * n]);
    let b_view = View::of(&b_buffer, [n, k]).transposed();
    let product = ScaledMatmul::new(View::of(&a_buffer, [m, k]), b_view, scales);
    let product = if with_bias { product.bias(&bias_buffer) } else { product };
    product.run(View::of_mut(&mut c, [m, n])).unwrap();
    for (at, found) in c.to_vec().unwrap().into_iter().enumerate() {
        let (i, j) = (at / n, at % n);
        let dot: i64 = (0..k).map(|p| i64::from(a[i * k + p]) * i64::from(b[j * k + p])).sum();
        let [x, y] = [of_a[i.min(rows - 1)], of_b[j.min(columns - 1)]].map(f64::from);
        let scaled = dot as f64 * x * y;
        let bias = if with_bias { f64::from(bias[j]) } else { 0.0 };
        // The sum is below 2^24, so exact: two products and a sum are rounded.
        let allowed = f64::from(f32::EPSILON) * (2.0 * scaled.abs() + bias.abs());
        let error = (f64::from(found) - scaled - bias).abs();
        assert!(error <= allowed, "{i}, {j}: {found} is off by {error} of {allowed}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn bytes_with_scales_are_right(
        m in 1usize..70,
        n in 1usize..70,
        k in 0usize..300,
        seed: u64,
        per_row: bool,
        with_bias: bool,
    ) {
        check([m, n, k], seed, per_row, with_bias);
    }
}

/// Two groups of 3 rows, 200 deep and 130 wide: their scales are 3 x 2 and 2 x 2 x 2.
#[test]
fn groups_and_scales_of_other_shapes_are_told() {
    let device = Device::cpu();
    let bytes = |len| Buffer::<i8>::zeros(&device, len).unwrap();
    let (a, b) = (bytes(3 * 200), bytes(2 * 130 * 200));
    let scales = Buffer::<f32>::zeros(&device, 12).unwrap();
    let told = |of_a: [usize; 2], of_b: [usize; 3], ends: &[u32]| {
        let ends = Buffer::from_slice(&device, ends).unwrap();
        let mut c = Buffer::<f32>::zeros(&device, 3 * 130).unwrap();
        let (a, b) = (View::of(&a, [3, 200]), View::of(&b, [2, 130, 200]).transposed());
        let scales = (View::of(&scales, of_a), View::of(&scales, of_b));
        let done =
            GroupedScaledMatmul::new(a, b, scales, &ends).run(View::of_mut(&mut c, [3, 130]));
        done.err().map(|error| error.to_string())
    };
    assert_eq!(told([3, 2], [2, 2, 2], &[1, 3]), None);
    let error = told([2, 2], [2, 2, 2], &[1, 3]).unwrap();
    assert!(error.contains("`scales of a`") && error.contains("[1, 3, 2]"), "{error}");
    let error = told([3, 2], [2, 1, 2], &[1, 3]).unwrap();
    assert!(error.contains("`scales of b`") && error.contains("[2, 2, 2]"), "{error}");
    let error = told([3, 2], [2, 2, 2], &[3]).unwrap();
    assert!(error.contains("`ends` has 1 elements"), "{error}");
    let error = told([3, 2], [2, 2, 2], &[2, 1]).unwrap();
    assert!(error.contains("it must be from 2, where the group begins, to 3"), "{error}");
}
