use kernelsmith::prelude::*;
use kernelsmith_kernels::scan::Scan;
use proptest::prelude::*;

use crate::numbers::{Rounded, buffer, close, devices, numbers, poisoned, read, rounded, running};

/// Running sums, and those of magnitudes.
fn reference(scan: Scan, columns: usize, x: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let row = |x: &[f64]| {
        let upto = running(x);
        match scan {
            Scan::Inclusive => upto,
            Scan::Exclusive => [0.0].into_iter().chain(upto).take(x.len()).collect(),
        }
    };
    let magnitudes: Vec<f64> = x.iter().map(|x| x.abs()).collect();
    let all = |x: &[f64]| x.chunks(columns.max(1)).flat_map(row).collect();
    (all(x), all(&magnitudes))
}

fn check<T: Rounded>(scan: Scan, [rows, columns]: [usize; 2], seed: u64)
where
    T::Wide: Rounded,
{
    let device = Device::cpu();
    let (x, exact) = rounded::<T>(rows * columns, 2.0, seed);
    let mut y = poisoned::<T>(&device, x.len());
    scan.sums(columns, &buffer(&device, &x), &mut y).unwrap();
    let (expected, magnitudes) = reference(scan, columns, &exact);
    let eps = <T::Wide as Rounded>::EPS;
    let bound = |i: usize| {
        // Sums of chunks of long rows round more than those of warps.
        let near = if columns > 1 << 16 { 100.0 } else { 6.0 } * magnitudes[i];
        eps * near + (T::EPS + 2.0 * eps) * expected[i].abs()
    };
    close(&format!("{scan:?}"), &read(&y), &expected, bound);
}

const BOTH: [Scan; 2] = [Scan::Inclusive, Scan::Exclusive];

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, failure_persistence: None, ..Default::default() })]
    #[test]
    fn running_sums(
        shape in prop_oneof![(0usize..20, 0usize..200), (1usize..3, 60_000usize..90_000), (1usize..2, 500_000usize..700_000)],
        scan in prop::sample::select(BOTH.to_vec()),
        seed: u64,
    ) {
        let shape = [shape.0, shape.1];
        check::<f32>(scan, shape, seed);
        if shape[0] * shape[1] < 400_000 {
            check::<bf16>(scan, shape, seed);
            check::<f64>(scan, shape, seed);
        }
    }

    #[test]
    fn running_results_of_a_function_keep_the_order(
        shape in prop_oneof![(0usize..9, 1usize..300), (1usize..3, 70_000usize..80_000)],
        scan in prop::sample::select(BOTH.to_vec()),
        seed: u64,
    ) {
        let (rows, columns) = shape;
        let device = Device::cpu();
        // Maps x -> a x + b of numbers of 32 bits, as pairs; they do not commute.
        let xs: Vec<u64> = numbers(rows * columns, 1.0, seed)
            .iter()
            .map(|x| u64::from(x.to_bits()) << 32 | u64::from(x.to_bits().rotate_left(9) | 1))
            .collect();
        let then = |f: u64, g: u64| {
            let ((b, a), (d, c)) = (((f >> 32) as u32, f as u32), ((g >> 32) as u32, g as u32));
            u64::from(c.wrapping_mul(b).wrapping_add(d)) << 32 | u64::from(c.wrapping_mul(a))
        };
        let mut y = poisoned::<u64>(&device, xs.len());
        let x = buffer(&device, &xs);
        scan.by(columns, 1, &x, &mut y, |f, g| {
            let half = |x: Val<u64>| ((x >> 32u32).cast::<u32>(), x.cast::<u32>());
            let ((b, a), (d, c)) = (half(f), half(g));
            ((c * b + d).cast::<u64>() << 32u32) | (c * a).cast::<u64>()
        }).unwrap();
        let y = read(&y);
        for i in 0..rows {
            let mut so_far = 1;
            for j in 0..columns {
                let at = i * columns + j;
                let next = then(so_far, xs[at]);
                prop_assert_eq!(y[at], if scan == Scan::Inclusive { next } else { so_far }, "row {}, column {}", i, j);
                so_far = next;
            }
        }
    }
}

#[test]
fn long_sums_hardly_round() {
    let device = Device::cpu();
    let n = 60_000;
    let mut y = poisoned::<f32>(&device, n);
    Scan::Inclusive.sums(n, &buffer(&device, &vec![0.1f32; n]), &mut y).unwrap();
    for (i, y) in read(&y).into_iter().enumerate() {
        let exact = f64::from(0.1f32) * (i + 1) as f64;
        // One rounding of the result, and some of 32 numbers.
        let allowed = exact * f32::EPS * 1.01 + 40.0 * f32::EPS;
        assert!((f64::from(y) - exact).abs() <= allowed, "{i}: {y}, not {exact}");
    }
}

#[test]
fn nan_and_infinity_pass_on() {
    let device = Device::cpu();
    for n in [100, 100_000] {
        let mut xs = vec![1.0f32; n];
        xs[40] = f32::INFINITY;
        xs[70] = f32::NAN;
        let mut y = poisoned::<f32>(&device, n);
        Scan::Inclusive.sums(n, &buffer(&device, &xs), &mut y).unwrap();
        let y = read(&y);
        assert!(y[..40].iter().enumerate().all(|(i, &y)| y == (i + 1) as f32));
        assert!(y[40..64].iter().all(|&y| y == f32::INFINITY), "{:?}", &y[40..64]);
        assert!(y[70..].iter().all(|y| y.is_nan()));
    }
}

#[test]
fn results_are_the_same_bits_from_run_to_run() {
    let device = Device::cpu();
    let x = buffer(&device, &numbers(700_001, 1.0, 5));
    let run = || {
        let mut y = poisoned::<f32>(&device, x.len());
        Scan::Inclusive.sums(x.len(), &x, &mut y).unwrap();
        read(&y)
    };
    let first = run();
    assert!((0..4).all(|_| run() == first));
}

#[test]
fn nothing_is_wrong_in_the_interpreter() {
    for device in devices() {
        let xs: Vec<f32> = numbers(350, 20.0, 7).iter().map(|x| x.round()).collect();
        let exact: Vec<f64> = xs.iter().map(|&x| x.into()).collect();
        for scan in BOTH {
            for columns in [7, 70, 350] {
                let mut y = poisoned::<f32>(&device, xs.len());
                scan.sums(columns, &buffer(&device, &xs), &mut y).unwrap();
                close("scan", &read(&y), &reference(scan, columns, &exact).0, |_| 0.0);
            }
        }
    }
    // Long rows are cut.
    let device = Device::interpreter();
    let ones = buffer(&device, &vec![1u32; 70_000]);
    let mut y = poisoned::<u32>(&device, ones.len());
    Scan::Exclusive.sums(ones.len(), &ones, &mut y).unwrap();
    assert!(read(&y).into_iter().enumerate().all(|(i, y)| y as usize == i));
}

#[test]
fn mistakes_are_told() {
    let device = Device::cpu();
    let (x, mut y) = (buffer(&device, &[0.0f32; 6]), buffer(&device, &[0.0f32; 6]));
    let told = Scan::Inclusive.sums(4, &x, &mut y).unwrap_err().to_string();
    assert_eq!(told, "`y` has 6 elements, but it must have rows * columns = 4");
    let mut y = buffer(&device, &[0.0f32; 5]);
    let told = Scan::Inclusive.sums(3, &x, &mut y).unwrap_err().to_string();
    assert_eq!(told, "`x` has 6 elements, but it must have y.len() = 5");
}
