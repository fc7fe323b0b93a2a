use kernelsmith::prelude::*;
use kernelsmith_kernels::Number;
use kernelsmith_kernels::reduce::{Extreme, Reduction};
use proptest::prelude::*;

use crate::numbers::{Rounded, buffer, close, devices, numbers, poisoned, read, rounded, sum};

const ALL: [Reduction; 5] =
    [Reduction::Sum, Reduction::Mean, Reduction::Max, Reduction::Min, Reduction::Norm];

/// The result, and the sum of magnitudes that its error is measured by.
fn reference(reduction: Reduction, x: &[f64]) -> (f64, f64) {
    let magnitudes: f64 = x.iter().map(|x| x.abs()).sum();
    let total = sum(x);
    let nan = x.iter().any(|x| x.is_nan());
    match reduction {
        Reduction::Sum => (total, magnitudes),
        Reduction::Mean => (total / x.len() as f64, magnitudes / x.len() as f64),
        Reduction::Max | Reduction::Min if nan => (f64::NAN, 0.0),
        Reduction::Max => (x.iter().copied().fold(f64::NEG_INFINITY, f64::max), 0.0),
        Reduction::Min => (x.iter().copied().fold(f64::INFINITY, f64::min), 0.0),
        Reduction::Norm => {
            let norm = sum(&x.iter().map(|x| x * x).collect::<Vec<_>>()).sqrt();
            (norm, norm)
        }
    }
}

/// Rows and columns of a matrix, reduced in `f32` or in `f64`.
fn check<T: Rounded>(reduction: Reduction, [m, n]: [usize; 2], seed: u64)
where
    T::Wide: Rounded,
{
    let device = Device::cpu();
    let (x, exact) = rounded::<T>(m * n, 4.0, seed);
    let x = buffer(&device, &x);
    let eps = <T::Wide as Rounded>::EPS;
    let allowed = |n: usize, size: f64, result: f64| {
        (90.0 + n as f64 / 8192.0).max(260.0) * eps * size + result.abs() * T::EPS
    };
    if n > 0 || !matches!(reduction, Reduction::Max | Reduction::Min) {
        let mut y = poisoned::<T>(&device, m);
        reduction.rows(n, &x, &mut y).unwrap();
        let expected: Vec<(f64, f64)> =
            (0..m).map(|i| reference(reduction, &exact[i * n..(i + 1) * n])).collect();
        let results: Vec<f64> = expected.iter().map(|e| e.0).collect();
        let bound = |i: usize| allowed(n, expected[i].1, expected[i].0);
        close(&format!("{reduction:?} of rows"), &read(&y), &results, bound);
    }
    if m > 0 || !matches!(reduction, Reduction::Max | Reduction::Min) {
        let mut y = poisoned::<T>(&device, n);
        reduction.columns(m, &x, &mut y).unwrap();
        let column = |j| (0..m).map(|i| exact[i * n + j]).collect::<Vec<_>>();
        let expected: Vec<(f64, f64)> = (0..n).map(|j| reference(reduction, &column(j))).collect();
        let results: Vec<f64> = expected.iter().map(|e| e.0).collect();
        let bound = |i: usize| allowed(m, expected[i].1, expected[i].0);
        close(&format!("{reduction:?} of columns"), &read(&y), &results, bound);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]
    #[test]
    fn rows_and_columns(
        shape in prop_oneof![
            (0usize..20, 0usize..300),
            (0usize..1200, 0usize..30),
            (1usize..3, 1usize..200_000),
            (1usize..5, 1000usize..3000),
        ],
        reduction in prop::sample::select(ALL.to_vec()),
        seed: u64,
    ) {
        let shape = [shape.0, shape.1];
        check::<f32>(reduction, shape, seed);
        check::<bf16>(reduction, shape, seed);
        check::<f64>(reduction, shape, seed);
    }

    #[test]
    fn places_of_extremes(
        shape in prop_oneof![(1usize..20, 1usize..200), (1usize..4, 1usize..150_000)],
        extreme in prop::sample::select(vec![Extreme::Max, Extreme::Min]),
        kinds in 1u32..5000,
        seed: u64,
    ) {
        let (m, n) = shape;
        let device = Device::cpu();
        // Few values, so that many are equal; now and then a NaN.
        let xs: Vec<f32> = numbers(m * n, 1.0, seed)
            .iter()
            .map(|x| if *x > 0.9999 { f32::NAN } else { (x * kinds as f32).round() })
            .collect();
        let x = buffer(&device, &xs);
        let first = |x: &mut dyn Iterator<Item = f32>| {
            x.enumerate().reduce(|best, new| {
                let more = if extreme == Extreme::Max { new.1 > best.1 } else { new.1 < best.1 };
                if more || new.1.is_nan() && !best.1.is_nan() { new } else { best }
            }).unwrap()
        };
        let same = |found: f32, expected: f32| found == expected || found.is_nan() && expected.is_nan();
        let (mut values, mut places) = (poisoned::<f32>(&device, m), poisoned::<u32>(&device, m));
        extreme.rows(n, &x, &mut values, &mut places).unwrap();
        let (values, places) = (read(&values), read(&places));
        for i in 0..m {
            let (at, value) = first(&mut xs[i * n..(i + 1) * n].iter().copied());
            prop_assert_eq!(places[i] as usize, at);
            prop_assert!(same(values[i], value));
        }
        let (mut values, mut places) = (poisoned::<f32>(&device, n), poisoned::<u32>(&device, n));
        extreme.columns(m, &x, &mut values, &mut places).unwrap();
        let (values, places) = (read(&values), read(&places));
        for j in 0..n {
            let (at, value) = first(&mut (0..m).map(|i| xs[i * n + j]));
            prop_assert_eq!(places[j] as usize, at);
            prop_assert!(same(values[j], value));
        }
    }

    #[test]
    fn integers_are_exact(len in 1usize..150_000, seed: u64) {
        let device = Device::cpu();
        let xs: Vec<i8> = numbers(len, 128.0, seed).iter().map(|x| *x as i8).collect();
        let x = buffer(&device, &xs);
        let sum: i64 = xs.iter().map(|&x| i64::from(x)).sum();
        prop_assert_eq!(Reduction::Sum.value::<i8, i64>(&x).unwrap(), sum);
        prop_assert_eq!(Reduction::Sum.value::<i8, i8>(&x).unwrap(), sum as i8);
        prop_assert_eq!(Reduction::Max.value::<i8, i8>(&x).unwrap(), *xs.iter().max().unwrap());
        let mean = Reduction::Mean.value::<i8, f64>(&x).unwrap();
        prop_assert!((mean - sum as f64 / len as f64).abs() <= 1e-12 * 128.0);
    }
}

#[test]
fn long_sums_hardly_round() {
    // Ones with a tiny number among them: a sum one by one would end at 2^24.
    let device = Device::cpu();
    let x = buffer(&device, &vec![1.0f32; (1 << 24) + 1000]);
    assert_eq!(Reduction::Sum.value::<f32, f32>(&x).unwrap(), ((1 << 24) + 1000) as f32);
    assert_eq!(Reduction::Mean.value::<f32, f32>(&x).unwrap(), 1.0);
    let tenths = buffer(&device, &vec![0.1f32; 1 << 20]);
    let sum = f64::from(Reduction::Sum.value::<f32, f32>(&tenths).unwrap());
    let exact = f64::from(0.1f32) * f64::from(1 << 20);
    assert!((sum - exact).abs() <= 200.0 * f32::EPS * exact, "{sum} {exact}");
    // In f64, as asked.
    let sum = Reduction::Sum.value::<f32, f64>(&tenths).unwrap();
    assert!((sum - exact).abs() <= 1e-9 * exact, "{sum} {exact}");
}

#[test]
fn nan_and_infinity_pass_on() {
    let device = Device::cpu();
    for (len, at) in [(5, 3), (1000, 999), (200_000, 70_001)] {
        let mut xs = numbers(len, 1.0, 3);
        xs[at] = f32::INFINITY;
        let x = buffer(&device, &xs);
        assert_eq!(Reduction::Sum.value::<f32, f32>(&x).unwrap(), f32::INFINITY);
        assert_eq!(Extreme::Max.value(&x).unwrap(), (f32::INFINITY, at as u32));
        xs[at - 1] = f32::NAN;
        let x = buffer(&device, &xs);
        for reduction in ALL {
            assert!(reduction.value::<f32, f32>(&x).unwrap().is_nan(), "{reduction:?} of {len}");
        }
        for extreme in [Extreme::Max, Extreme::Min] {
            let (value, place) = extreme.value(&x).unwrap();
            assert!(value.is_nan() && place as usize == at - 1, "{extreme:?} of {len}");
        }
    }
}

#[test]
fn results_are_the_same_bits_from_run_to_run() {
    let device = Device::cpu();
    let x = buffer(&device, &numbers(300_000, 1.0, 5));
    let run = || {
        let mut y = poisoned::<f32>(&device, 300);
        Reduction::Sum.columns(1000, &x, &mut y).unwrap();
        let mut all = poisoned::<f32>(&device, 1);
        Reduction::Norm.all(&x, &mut all).unwrap();
        (read(&y), read(&all))
    };
    let first = run();
    assert!((0..4).all(|_| run() == first));
}

fn run_all<T: Number>(device: &Device, x: &[T]) -> (Vec<T>, Vec<T>, Vec<T>, Vec<u32>) {
    let x = buffer(device, x);
    let (mut rows, mut columns) = (poisoned::<T>(device, 7), poisoned::<T>(device, 300));
    Reduction::Sum.rows(300, &x, &mut rows).unwrap();
    Reduction::Min.columns(7, &x, &mut columns).unwrap();
    let (mut values, mut places) = (poisoned::<T>(device, 7), poisoned::<u32>(device, 7));
    Extreme::Max.rows(300, &x, &mut values, &mut places).unwrap();
    let (mut v, mut p) = (poisoned::<T>(device, 300), poisoned::<u32>(device, 300));
    Extreme::Max.columns(7, &x, &mut v, &mut p).unwrap();
    let places = [read(&places), read(&p)].concat();
    (read(&rows), read(&columns), [read(&values), read(&v)].concat(), places)
}

#[test]
fn nothing_is_wrong_in_the_interpreter() {
    let x: Vec<f32> = numbers(2100, 64.0, 9).iter().map(|x| x.round()).collect();
    let expected = run_all(&Device::cpu(), &x);
    for device in devices() {
        // Whole numbers: sums are exact in any order.
        assert_eq!(run_all(&device, &x), expected);
    }
}

#[test]
fn mistakes_are_told() {
    let device = Device::cpu();
    let x = buffer(&device, &[0.0f32; 6]);
    let mut y = buffer(&device, &[0.0f32; 4]);
    let told = Reduction::Sum.rows(2, &x, &mut y).unwrap_err().to_string();
    assert_eq!(told, "`x` has 6 elements, but it must have y.len() * columns = 8");
    let mut whole = buffer(&device, &[0i32; 3]);
    let told = Reduction::Mean.rows(2, &x, &mut whole).unwrap_err().to_string();
    assert_eq!(told, "`y` has elements of type i32, but means and norms are floats");
    let none = Buffer::<f32>::zeros(&device, 0).unwrap();
    let told = Reduction::Max.value::<f32, f32>(&none).unwrap_err().to_string();
    assert_eq!(told, "`x` has no elements to compare, but there is an extreme of one or more");
    assert_eq!(Reduction::Sum.value::<f32, f32>(&none).unwrap(), 0.0);
    assert!(Reduction::Mean.value::<f32, f32>(&none).unwrap().is_nan());
    let told = Extreme::Min.value(&none).unwrap_err().to_string();
    assert_eq!(told, "`columns` has the value 0, but an extreme is of 1 to 2^32 - 1 numbers");
}
