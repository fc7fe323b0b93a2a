//! Gradients of norms and softmax.

use kernelsmith::Target;
use kernelsmith::prelude::*;
use kernelsmith_kernels::norm::{layer_norm_backward, rms_norm_backward, softmax_backward};
use kernelsmith_kernels::reference;
use proptest::prelude::*;

use crate::case::{Number, rounding, values, wide};

const EPSILON: f64 = 1e-5;

/// Rows and what they are multiplied by, as the kernels and as f64 have them.
struct Rows<T> {
    columns: usize,
    x: Vec<T>,
    weight: Vec<T>,
    dy: Vec<T>,
}

impl<T: Number> Rows<T> {
    fn random(rows: usize, columns: usize, seed: u64) -> Rows<T> {
        let [x, dy] = [seed, !seed].map(|seed| values(rows * columns, seed));
        Rows { columns, x, weight: values(columns, seed ^ 3), dy }
    }

    fn wide(&self) -> [Vec<f64>; 3] {
        [wide(&self.x), wide(&self.weight), wide(&self.dy)]
    }
}

fn poisoned<T: Number>(device: &Device, len: usize) -> Buffer<T> {
    Buffer::from_slice(device, &vec![T::lit(f64::NAN); len]).unwrap()
}

fn close<T: Number>(
    name: &str,
    found: &Buffer<T>,
    expected: &[f64],
    allowed: f64,
) -> Result<(), String> {
    let found = wide(&found.to_vec().map_err(|error| error.to_string())?);
    assert_eq!(found.len(), expected.len());
    for (i, (found, &expected)) in found.iter().zip(expected).enumerate() {
        let close = (found - expected).abs() <= allowed + rounding::<T>(expected);
        if !close {
            return Err(format!("{name}[{i}]: {found}, not {expected} by {allowed}"));
        }
    }
    Ok(())
}

/// Numbers up to 1, of which a row has a mean square of a third: `r` is 2, unless there are few columns, and
/// at most `1 / sqrt(EPSILON)`. Roundings are of sums of `columns` or `rows` terms.
fn allowed<T: Number>(rows: &Rows<T>) -> [f64; 2] {
    let columns = rows.columns as f64;
    let count = rows.x.len() as f64 / columns;
    let x = wide(&rows.x);
    let largest = x.chunks(rows.columns).fold(0.0, |r: f64, x| {
        let mean = x.iter().sum::<f64>() / columns;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / columns;
        r.max(1.0 / (variance + EPSILON).sqrt())
    });
    let eps = f64::from(f32::EPSILON);
    // A difference `x - mean` is off by eps, `u` by as much times `r`, and `dx` by that times `r` again.
    [
        8.0 * eps * columns.sqrt() * (largest + largest.powi(3)),
        8.0 * eps * (largest * count + count),
    ]
}

fn check<T: Number>(device: &Device, rows: &Rows<T>) -> Result<(), String> {
    let buffer = |x: &[T]| Buffer::from_slice(device, x).unwrap();
    let (columns, [x, w, dy]) = (rows.columns, rows.wide());
    let (bx, bw, bdy) = (buffer(&rows.x), buffer(&rows.weight), buffer(&rows.dy));
    let (mut dx, mut dw, mut db) =
        (poisoned(device, x.len()), poisoned(device, columns), poisoned(device, columns));
    let [allowed_x, allowed_w] = allowed(rows);
    let epsilon = EPSILON as f32;
    rms_norm_backward(columns, epsilon, &bx, &bw, &bdy, &mut dx, &mut dw)
        .map_err(|error| error.to_string())?;
    let expected = reference::rms_norm_backward(columns, epsilon.into(), &x, &w, &dy);
    close("rms dx", &dx, &expected[0], allowed_x)?;
    close("rms dweight", &dw, &expected[1], allowed_w)?;
    (dx, dw) = (poisoned(device, x.len()), poisoned(device, columns));
    layer_norm_backward(columns, epsilon, &bx, &bw, &bdy, &mut dx, &mut dw, &mut db)
        .map_err(|error| error.to_string())?;
    let expected = reference::layer_norm_backward(columns, epsilon.into(), &x, &w, &dy);
    close("layer dx", &dx, &expected[0], allowed_x)?;
    close("layer dweight", &dw, &expected[1], allowed_w)?;
    close("layer dbias", &db, &expected[2], allowed_w)
}

fn check_softmax(device: &Device, rows: &Rows<f32>) -> Result<(), String> {
    let (columns, [x, _, dy]) = (rows.columns, rows.wide());
    let y: Vec<f32> = reference::softmax(columns, &x).into_iter().map(|y| y as f32).collect();
    let [y, d] = [&y, &rows.dy].map(|x| Buffer::from_slice(device, x).unwrap());
    let mut dx = poisoned(device, x.len());
    softmax_backward(columns, &y, &d, &mut dx).map_err(|error| error.to_string())?;
    // Weights add up to 1: nothing is larger than 2, and a sum of them is off by some roundings of 1.
    let expected = reference::softmax_backward(columns, &x, &dy);
    close("softmax", &dx, &expected, 16.0 * f64::from(f32::EPSILON))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn gradients_match(rows in 0usize..60, columns in 1usize..300, seed in any::<u64>()) {
        let device = Device::cpu();
        check::<f32>(&device, &Rows::random(rows, columns, seed)).map_err(TestCaseError::fail)?;
        let some = Rows::random(rows, columns, seed);
        check_softmax(&device, &some).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn gradients_of_small_floats_match(rows in 0usize..20, columns in 1usize..100, seed in any::<u64>()) {
        let device = Device::cpu();
        check::<bf16>(&device, &Rows::random(rows, columns, seed)).map_err(TestCaseError::fail)?;
        check::<f16>(&device, &Rows::random(rows, columns, seed)).map_err(TestCaseError::fail)?;
    }
}

/// The references by central differences.
#[test]
fn the_references_are_the_slopes_of_the_forward_functions() {
    let columns = 7;
    let rows = Rows::<f32>::random(3, columns, 5);
    let [x, w, dy] = rows.wide();
    let b = vec![0.25; columns];
    let dot = |y: Vec<f64>| -> f64 { y.iter().zip(&dy).map(|(y, dy)| y * dy).sum() };
    let slopes = |at: &[f64], loss: &dyn Fn(&[f64]) -> f64, expected: &[f64]| {
        for i in 0..at.len() {
            let moved = |step: f64| {
                let mut at = at.to_vec();
                at[i] += step;
                loss(&at)
            };
            let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((slope - expected[i]).abs() < 1e-6, "{i}: {}, not {slope}", expected[i]);
        }
    };
    let [dx, dw] = reference::rms_norm_backward(columns, EPSILON, &x, &w, &dy);
    slopes(&x, &|x| dot(reference::rms_norm(columns, EPSILON, x, &w)), &dx);
    slopes(&w, &|w| dot(reference::rms_norm(columns, EPSILON, &x, w)), &dw);
    let [dx, dw, db] = reference::layer_norm_backward(columns, EPSILON, &x, &w, &dy);
    slopes(&x, &|x| dot(reference::layer_norm(columns, EPSILON, x, &w, &b)), &dx);
    slopes(&w, &|w| dot(reference::layer_norm(columns, EPSILON, &x, w, &b)), &dw);
    slopes(&b, &|b| dot(reference::layer_norm(columns, EPSILON, &x, &w, b)), &db);
    let dx = reference::softmax_backward(columns, &x, &dy);
    slopes(&x, &|x| dot(reference::softmax(columns, x)), &dx);
}

#[test]
fn the_interpreter_finds_nothing() {
    for target in ["cpu", "sm_90a", "gfx942"] {
        let target: Target = target.parse().unwrap();
        let device = Device::interpreter_for(target);
        check::<f32>(&device, &Rows::random(5, 37, 1)).unwrap();
        check_softmax(&device, &Rows::random(3, 70, 2)).unwrap();
    }
}

#[test]
fn nan_stays_in_its_row_and_the_sums_over_rows() {
    let (device, columns) = (Device::cpu(), 40);
    let mut rows = Rows::<f32>::random(6, columns, 3);
    rows.x[2 * columns + 5] = f32::NAN;
    let [x, w, dy] =
        [&rows.x, &rows.weight, &rows.dy].map(|x| Buffer::from_slice(&device, x).unwrap());
    let (mut dx, mut dw, mut db) =
        (poisoned(&device, 6 * columns), poisoned(&device, columns), poisoned(&device, columns));
    layer_norm_backward(columns, 1e-5, &x, &w, &dy, &mut dx, &mut dw, &mut db).unwrap();
    for (row, dx) in dx.to_vec().unwrap().chunks(columns).enumerate() {
        assert!(dx.iter().all(|x| x.is_nan() == (row == 2)), "row {row}");
    }
    assert!(dw.to_vec().unwrap().iter().all(|x| x.is_nan()));
    assert!(db.to_vec().unwrap().iter().all(|x| x.is_finite()));
}

#[test]
fn wrong_lengths_name_argument_and_rule() {
    let buffer = |len: usize| Buffer::<f32>::zeros(&Device::cpu(), len).unwrap();
    let (x, w, short) = (buffer(12), buffer(4), buffer(3));
    let (mut dx, mut dw) = (buffer(12), buffer(4));
    let error = rms_norm_backward(4, 1e-5, &x, &short, &x, &mut dx, &mut dw).unwrap_err();
    assert_eq!(error.to_string(), "`weight` has 3 elements, but it must have columns = 4");
    let error = rms_norm_backward(4, 1e-5, &x, &w, &w, &mut dx, &mut dw).unwrap_err();
    assert_eq!(error.to_string(), "`dy` has 4 elements, but it must have dx.len() = 12");
    let error = rms_norm_backward(5, 1e-5, &x, &w, &x, &mut dx, &mut dw).unwrap_err();
    assert_eq!(error.to_string(), "`dx` has 12 elements, but it must have rows * columns = 10");
    let error = softmax_backward(4, &w, &x, &mut dx).unwrap_err();
    assert_eq!(error.to_string(), "`y` has 4 elements, but it must have dx.len() = 12");
}
