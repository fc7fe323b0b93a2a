use kernelsmith::prelude::*;
use kernelsmith_kernels::loss::CrossEntropy;
use kernelsmith_kernels::{SmallFloat, reference};
use proptest::prelude::*;

use crate::numbers::{Rounded, buffer, close, devices, numbers, poisoned, read, rounded};

const NONE: u32 = 77;

fn check<T: Rounded + SmallFloat>(
    device: &Device,
    [rows, classes]: [usize; 2],
    scale: f32,
    smoothing: f32,
    seed: u64,
) {
    let (logits, exact) = rounded::<T>(rows * classes, scale, seed);
    let targets: Vec<u32> = numbers(rows, 1.0, !seed)
        .iter()
        .map(|&x| if x > 0.8 { NONE } else { (x.abs() * (classes as f32 - 1.0)) as u32 })
        .collect();
    let loss = CrossEntropy::new(classes).ignore(NONE).smoothing(smoothing);
    let (x, on) = (buffer(device, &logits), buffer(device, &targets));
    let (mut losses, mut normalizers) =
        (poisoned::<f32>(device, rows), poisoned::<f32>(device, rows));
    loss.losses(&x, &on, &mut losses, &mut normalizers).unwrap();
    let ignored = |target: u32| target == NONE;
    let (expected, gradient) =
        reference::cross_entropy(classes, smoothing.into(), ignored, &targets, &exact);
    // The promise; means of as many logits round as sums do.
    let bound = 1.5e-6 + (4.0 + classes as f64 / 32.0) * f32::EPS * f64::from(scale);
    close("losses", &read(&losses), &expected, |_| bound);
    let mut found = poisoned::<T>(device, x.len());
    loss.gradient(0.5, &x, &on, &normalizers, &mut found).unwrap();
    let halves: Vec<f64> = gradient.iter().map(|g| g * 0.5).collect();
    let bound = |i: usize| (1.5e-6 + 8.0 * f32::EPS * f64::from(scale)) + T::EPS * halves[i].abs();
    close("gradient", &read(&found), &halves, bound);
    let mut x = x;
    loss.gradient_in_place(0.5, &on, &normalizers, &mut x).unwrap();
    assert_eq!(read(&x), read(&found));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, failure_persistence: None, ..Default::default() })]
    #[test]
    fn losses_and_gradients(
        shape in prop_oneof![(0usize..20, 1usize..70), (1usize..5, 200usize..3000)],
        scale in 0.1f32..50.0,
        smoothing in prop_oneof![Just(0.0f32), 0.0f32..1.0],
        seed: u64,
    ) {
        let (device, shape) = (Device::cpu(), [shape.0, shape.1]);
        // As a target the number of no class is no class either.
        if shape[1] <= NONE as usize {
            check::<f32>(&device, shape, scale, smoothing, seed);
            check::<bf16>(&device, shape, scale, smoothing, seed);
        } else {
            check::<f32>(&device, shape, scale, smoothing, seed);
        }
    }
}

#[test]
fn great_logits_infinities_and_nan() {
    let device = Device::cpu();
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    let rows = [[1e30, -1e30, 0.0], [-inf, 2.0, -inf], [inf, 0.0, 0.0], [nan, 0.0, 0.0], [-inf; 3]];
    let x = buffer(&device, rows.as_flattened());
    let targets = buffer(&device, &[0u32, 1, 0, 1, 2]);
    let (mut losses, mut normalizers) = (poisoned::<f32>(&device, 5), poisoned::<f32>(&device, 5));
    CrossEntropy::new(3).losses(&x, &targets, &mut losses, &mut normalizers).unwrap();
    let losses = read(&losses);
    assert_eq!(losses[..2], [0.0, 0.0]);
    assert!(losses[2..].iter().all(|loss| loss.is_nan()), "{losses:?}");
}

#[test]
fn arguments_of_other_sizes() {
    let device = Device::cpu();
    let x = buffer(&device, &[0.0f32; 6]);
    let targets = buffer(&device, &[2u32, 1]);
    let wrong = |loss: CrossEntropy| {
        let (mut a, mut b) = (poisoned::<f32>(&device, 2), poisoned::<f32>(&device, 2));
        loss.losses(&x, &targets, &mut a, &mut b).unwrap_err().to_string()
    };
    assert_eq!(
        wrong(CrossEntropy::new(4)),
        "`logits` has 6 elements, but it must have targets.len() * classes = 8"
    );
    assert_eq!(
        wrong(CrossEntropy::new(3).smoothing(1.5)),
        "`smoothing` has the value 1.5, but it is a share, from 0 to 1"
    );
    assert!(wrong(CrossEntropy::new(0)).starts_with("`classes` has the value 0"));
}

#[test]
fn nothing_is_wrong_in_the_interpreter() {
    for device in devices() {
        check::<f32>(&device, [3, 70], 2.0, 0.1, 3);
        check::<f32>(&device, [2, 1100], 2.0, 0.0, 4);
    }
}
