use kernelsmith::prelude::*;
use kernelsmith_kernels::Number;
use kernelsmith_kernels::activation::{geglu, gelu, sigmoid, silu, swiglu};
use kernelsmith_kernels::elementwise::{
    map, map_in_place, map_view, zip_map, zip_map_in_place, zip_map_views,
};
use proptest::prelude::*;

use crate::numbers::{Rounded, buffer, close, devices, numbers, poisoned, read, rounded, wide};

fn exact_silu(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}

/// Some units of what it is computed in and one of what it is stored as.
fn bound<T: Rounded>(expected: &[f64]) -> impl Fn(usize) -> f64 {
    // Of f64 itself the reference is off by some units as well.
    let wide = if T::EPS < f32::EPS { T::EPS } else { f32::EPS };
    move |i| expected[i].abs() * (8.0 * wide + T::EPS) + 1e-30
}

fn of_one<T: Rounded + Number<Wide = W>, W: Float>(len: usize, seed: u64) {
    let device = Device::cpu();
    let (x, exact) = rounded::<T>(len, 8.0, seed);
    let expected: Vec<f64> = exact.iter().map(|&x| exact_silu(x)).collect();
    let mut x = buffer(&device, &x);
    let mut y = poisoned::<T>(&device, len);
    map(&x, &mut y, silu::<W>).unwrap();
    close("map", &read(&y), &expected, bound::<T>(&expected));
    map_in_place(&mut x, silu::<W>).unwrap();
    assert_eq!(read(&x), read(&y));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..Default::default() })]
    #[test]
    fn functions_of_one_number(len in prop_oneof![0usize..100, 1000usize..70_000], seed: u64) {
        of_one::<f32, f32>(len, seed);
        of_one::<bf16, f32>(len, seed);
        of_one::<f16, f32>(len, seed);
        of_one::<f64, f64>(len, seed);
    }

    #[test]
    fn functions_of_two_numbers(len in prop_oneof![0usize..100, 1000usize..70_000], seed: u64) {
        let device = Device::cpu();
        let (gate, up) = (numbers(len, 6.0, seed), numbers(len, 3.0, !seed));
        let expected: Vec<f64> =
            wide(&gate).iter().zip(wide(&up)).map(|(g, u)| exact_silu(*g) * u).collect();
        let (mut gate, up) = (buffer(&device, &gate), buffer(&device, &up));
        let mut y = poisoned::<f32>(&device, len);
        zip_map(&gate, &up, &mut y, swiglu::<f32>).unwrap();
        close("zip_map", &read(&y), &expected, bound::<f32>(&expected));
        zip_map_in_place(&mut gate, &up, swiglu::<f32>).unwrap();
        prop_assert_eq!(read(&gate), read(&y));
    }

    #[test]
    fn views_of_any_strides(
        (m, n) in (0usize..40, 0usize..150),
        (turned, repeated) in any::<(bool, bool)>(),
        seed: u64,
    ) {
        let device = Device::cpu();
        let (xs, bs) = (numbers(m * n + 7, 2.0, seed), numbers(m.max(n), 2.0, !seed));
        let (x, b) = (buffer(&device, &xs), buffer(&device, &bs));
        let strides = if turned { [1, m] } else { [n, 1] };
        let a = View::of(x.slice(7..).unwrap(), [m, n]).strides(strides);
        let repeats = if repeated { [0, 1] } else { [1, 0] };
        // Every second row of the output stays as it is.
        let mut y = buffer(&device, &vec![0.5; 2 * m * n]);
        let out = View::of_mut(&mut y, [m, n]).strides([2 * n, 1]);
        zip_map_views(a, View::of(&b, [m, n]).strides(repeats), out, |x, b| x * b).unwrap();
        let y = read(&y);
        for i in 0..m {
            for j in 0..n {
                let expected = xs[7 + i * strides[0] + j * strides[1]] * bs[i * repeats[0] + j * repeats[1]];
                prop_assert_eq!(y[2 * i * n + j], expected);
                prop_assert_eq!(y[(2 * i + 1) * n + j], 0.5);
            }
        }
    }
}

#[test]
fn integers_and_types_that_differ() {
    let device = Device::cpu();
    let x = buffer(&device, &[i8::MIN, -1, 0, 127]);
    let mut y = poisoned::<i64>(&device, 4);
    map(&x, &mut y, |x| x.cast::<i64>() * -3).unwrap();
    assert_eq!(read(&y), [384, 3, 0, -381]);
    let mut z = poisoned::<u8>(&device, 4);
    zip_map(&x, &y, &mut z, |x, y| (x.cast::<i64>() + y).cast::<u8>()).unwrap();
    assert_eq!(read(&z), [0, 2, 0, 2]);
}

#[test]
fn activations() {
    let device = Device::cpu();
    let x = buffer(&device, &[f32::NEG_INFINITY, -1.0, 0.0, 1.0, f32::INFINITY, f32::NAN]);
    let mut y = poisoned::<f32>(&device, 6);
    map(&x, &mut y, sigmoid::<f32>).unwrap();
    let found = read(&y);
    assert_eq!((found[0], found[2], found[4]), (0.0, 0.5, 1.0));
    assert!((found[3] - 0.731_058_6).abs() < 1e-6 && found[5].is_nan());
    let ones = buffer(&device, &[1.0f32; 6]);
    let mut z = poisoned::<f32>(&device, 6);
    zip_map(&x, &ones, &mut z, geglu::<f32>).unwrap();
    map(&x, &mut y, gelu::<f32>).unwrap();
    assert_eq!(read(&z)[1..5], read(&y)[1..5]);
}

#[test]
fn nothing_is_wrong_in_the_interpreter() {
    for device in devices() {
        let (xs, bs) = (numbers(2500, 2.0, 3), numbers(2500, 2.0, 4));
        let (mut x, b) = (buffer(&device, &xs), buffer(&device, &bs));
        let mut y = poisoned::<f32>(&device, xs.len());
        map(&x, &mut y, |x| x + 1.0).unwrap();
        assert_eq!(read(&y), xs.iter().map(|x| x + 1.0).collect::<Vec<_>>());
        zip_map(&x, &b, &mut y, |x, b| x * b).unwrap();
        let products: Vec<f32> = xs.iter().zip(&bs).map(|(x, b)| x * b).collect();
        assert_eq!(read(&y), products);
        let mut turned = poisoned::<f32>(&device, xs.len());
        let columns = View::of(&x, [50, 50]).transposed();
        map_view(columns, View::of_mut(&mut turned, [50, 50]), |x| x).unwrap();
        let turned = read(&turned);
        assert!((0..2500).all(|i| turned[i] == xs[i % 50 * 50 + i / 50]));
        zip_map_in_place(&mut x, &b, |x, b| x * b).unwrap();
        map_in_place(&mut x, |x| x).unwrap();
        assert_eq!(read(&x), products);
    }
}

#[test]
fn mistakes_are_told() {
    let device = Device::cpu();
    let (x, mut y) = (buffer(&device, &[0.0f32; 3]), buffer(&device, &[0.0f32; 4]));
    let told = map(&x, &mut y, |x| x).unwrap_err().to_string();
    assert_eq!(told, "`x` has 3 elements, but it must have y.len() = 4");
    let told = zip_map_in_place(&mut y, &x, |x, _| x).unwrap_err().to_string();
    assert_eq!(told, "`b` has 3 elements, but it must have x.len() = 4");
    let a = View::of(&x, [1, 3]);
    let told = map_view(a, View::of_mut(&mut y, [2, 2]), |x| x).unwrap_err().to_string();
    assert_eq!(told, "`a` has the shape [1, 3], but it must have that of y, [2, 2]");
    let factor = 2.0f32;
    let told = map_in_place(&mut y, move |x| x * factor).unwrap_err().to_string();
    assert!(told.contains("capture"), "{told}");
}
