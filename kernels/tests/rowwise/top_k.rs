use std::cmp::Ordering;

use kernelsmith::prelude::*;
use kernelsmith_kernels::SmallFloat;
use kernelsmith_kernels::sampling::top_k;
use proptest::prelude::*;

use crate::numbers::{Rounded, buffer, devices, numbers, poisoned, read};

/// The columns of the `k` greatest, of equal ones the first first, NaN above all.
pub(crate) fn reference(k: usize, row: &[f64]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..row.len() as u32).collect();
    order.sort_by(|&a, &b| {
        let (x, y) = (row[a as usize], row[b as usize]);
        match (x.is_nan(), y.is_nan()) {
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (true, true) => Ordering::Equal,
            _ => y.partial_cmp(&x).unwrap(),
        }
    });
    order.truncate(k);
    order
}

fn check<T: Rounded + SmallFloat>(device: &Device, k: usize, columns: usize, xs: &[f32]) {
    let xs: Vec<T> = xs.iter().map(|&x| T::nearest(x.into())).collect();
    let exact: Vec<f64> = xs.iter().map(|x| x.exact()).collect();
    let rows = xs.len() / columns;
    let mut values = poisoned::<T>(device, rows * k);
    let mut indices = poisoned::<u32>(device, rows * k);
    top_k(k, columns, &buffer(device, &xs), &mut values, &mut indices).unwrap();
    let (values, indices) = (read(&values), read(&indices));
    for (i, row) in exact.chunks(columns).enumerate() {
        let expected = reference(k, row);
        assert_eq!(indices[i * k..(i + 1) * k], expected, "row {i}, k {k}");
        for (value, &place) in values[i * k..].iter().zip(&expected) {
            let (found, expected) = (value.exact(), row[place as usize]);
            assert!(found == expected || found.is_nan() && expected.is_nan());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..Default::default() })]
    #[test]
    fn greatest_of_rows(
        shape in prop_oneof![(0usize..9, 1usize..100), (1usize..4, 100usize..6000)],
        share in 0.0f32..1.0,
        // Few kinds of numbers make many equal ones.
        kinds in prop_oneof![Just(2.0f32), Just(30.0), Just(1e9)],
        seed: u64,
    ) {
        let (rows, columns) = shape;
        let k = 1 + (share * (columns.min(256) - 1) as f32) as usize;
        let xs: Vec<f32> = numbers(rows * columns, 1.0, seed)
            .iter()
            .map(|&x| match x {
                x if x > 0.998 => f32::NAN,
                x if x < -0.99 => f32::NEG_INFINITY,
                x if x < -0.98 => f32::INFINITY,
                x if x.abs() < 0.001 => -0.0,
                x => (x * kinds).round() / kinds,
            })
            .collect();
        check::<f32>(&Device::cpu(), k, columns, &xs);
        check::<bf16>(&Device::cpu(), k, columns, &xs);
        check::<f16>(&Device::cpu(), k, columns, &xs);
    }
}

#[test]
fn rows_in_order() {
    // Every element passes, or none after the first.
    let up: Vec<f32> = (0..5000).map(|i| i as f32).collect();
    let down: Vec<f32> = (0..5000).map(|i| -i as f32).collect();
    for k in [1, 32, 33, 256] {
        check::<f32>(&Device::cpu(), k, 5000, &up);
        check::<f32>(&Device::cpu(), k, 5000, &down);
    }
}

#[test]
fn nothing_is_wrong_in_the_interpreter() {
    for device in devices() {
        let mut xs = numbers(700, 1.0, 3);
        xs[300] = f32::NAN;
        check::<f32>(&device, 3, 350, &xs);
        check::<f32>(&device, 40, 350, &xs);
    }
}

#[test]
fn mistakes_are_told() {
    let device = Device::cpu();
    let x = buffer(&device, &[0.0f32; 12]);
    let run = |k, columns| {
        let (mut v, mut i) = (poisoned::<f32>(&device, 6), poisoned::<u32>(&device, 6));
        top_k(k, columns, &x, &mut v, &mut i).map_err(|e| e.to_string())
    };
    assert_eq!(
        run(5, 4).unwrap_err(),
        "`k` has the value 5, but it is from 1 to 256 and to the number of columns, 4"
    );
    assert!(run(0, 4).is_err() && run(1, 0).is_err());
    assert_eq!(run(2, 5).unwrap_err(), "`x` has 12 elements, but it must have rows * columns = 10");
    assert_eq!(run(3, 4).unwrap_err(), "`values` has 6 elements, but it must have rows * k = 9");
    run(2, 4).unwrap();
}
