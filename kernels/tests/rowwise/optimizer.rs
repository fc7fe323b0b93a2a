use kernelsmith::prelude::*;
use kernelsmith_kernels::optimizer::Adam;
use kernelsmith_kernels::{SmallFloat, reference};
use proptest::prelude::*;

use crate::numbers::{Rounded, buffer, close, devices, numbers, poisoned, read, rounded, wide};

/// Some steps, each from what the kernel made of the last, against the step in `f64` from the same.
fn check<T: Rounded + SmallFloat>(device: &Device, adam: Adam, len: usize, seed: u64) {
    let (p, _) = rounded::<T>(len, 1.0, seed);
    let mut p = buffer(device, &p);
    let (mut m, mut v) = (buffer(device, &vec![0.0f32; len]), buffer(device, &vec![0.0f32; len]));
    for t in 1..4 {
        let (g, exact) = rounded::<T>(len, 0.1, seed + t);
        let before: Vec<f64> = read(&p).iter().map(|p| p.exact()).collect();
        let mut state = [before, wide(&read(&m)), wide(&read(&v))];
        adam.step(t, &mut p, &buffer(device, &g), &mut m, &mut v).unwrap();
        let weights = (adam.weight_decay, adam.coupled);
        reference::adam(t, adam.rate, adam.betas, adam.epsilon, weights, &exact, &mut state);
        let [p64, m64, v64] = state;
        close("m", &read(&m), &m64, |_| 8.0 * f32::EPS * 0.2);
        close("v", &read(&v), &v64, |_| 8.0 * f32::EPS * 0.04);
        // A step is off by what the moments are: the first, which may nearly vanish, by some roundings of
        // gradients, over the root of the second.
        let [c1, c2] = adam.betas.map(|beta| 1.0 - beta.powf(t as f64));
        let off = |i: usize| 6.0 * f32::EPS * 0.1 / c1 / ((v64[i] / c2).sqrt() + adam.epsilon);
        let bound =
            |i: usize| (T::EPS + 3.0 * f32::EPS) * p64[i].abs() + (2e-5 + off(i)) * adam.rate;
        close("p", &read(&p), &p64, bound);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..Default::default() })]
    #[test]
    fn steps(
        len in prop_oneof![0usize..100, 1000usize..40_000],
        decay in prop_oneof![Just(0.0f64), 0.0f64..0.5],
        coupled: bool,
        seed in 0u64..1 << 60,
    ) {
        let adam = Adam::new(1e-2).betas([0.9, 0.99]).epsilon(1e-4).weight_decay(decay);
        let adam = if coupled { adam.coupled() } else { adam };
        check::<f32>(&Device::cpu(), adam, len, seed);
        check::<bf16>(&Device::cpu(), adam, len, seed);
    }
}

#[test]
fn nothing_is_wrong_in_the_interpreter() {
    for device in devices() {
        check::<f32>(&device, Adam::new(1e-2).epsilon(1e-4), 300, 3);
    }
}

#[test]
fn nan_stays_where_it_is() {
    let device = Device::cpu();
    let mut g = numbers(100, 1.0, 3);
    g[40] = f32::NAN;
    let mut p = buffer(&device, &vec![1.0f32; 100]);
    let (mut m, mut v) = (buffer(&device, &vec![0.0f32; 100]), buffer(&device, &vec![0.0f32; 100]));
    Adam::new(0.1).step(1, &mut p, &buffer(&device, &g), &mut m, &mut v).unwrap();
    assert!(read(&p).iter().enumerate().all(|(i, p)| p.is_nan() == (i == 40)));
}

#[test]
fn mistakes_are_told() {
    let device = Device::cpu();
    let step = |adam: Adam, t, len| {
        let (mut p, g) = (buffer(&device, &[0.0f32; 3]), buffer(&device, &[0.0f32; 3]));
        let (mut m, mut v) = (poisoned::<f32>(&device, len), poisoned::<f32>(&device, 3));
        adam.step(t, &mut p, &g, &mut m, &mut v).unwrap_err().to_string()
    };
    let adam = Adam::new(0.1);
    assert_eq!(step(adam, 1, 4), "`m` has 4 elements, but it must have p.len() = 3");
    assert_eq!(step(adam, 0, 3), "`t` has the value 0, but steps are counted from 1");
    let told = step(adam.betas([0.9, 1.0]), 1, 3);
    assert_eq!(told, "`betas` has the value 1, but they are from 0 to below 1");
    let told = step(Adam::new(f64::NAN), 1, 3);
    assert_eq!(told, "`rate` has the value NaN, but it is finite and not negative");
}
