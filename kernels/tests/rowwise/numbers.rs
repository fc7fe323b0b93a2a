//! What the tests of this folder have in common.

use kernelsmith::{Buffer, Device, Target, bf16, f16};
use kernelsmith_kernels::Number;

/// Devices that run every kernel on this machine: the CPU, and the interpreter with the blocks of each
/// kind of target.
pub(crate) fn devices() -> Vec<Device> {
    let interpreted = ["cpu", "sm_90a", "gfx942"].map(|name| name.parse::<Target>().unwrap());
    [Device::cpu()].into_iter().chain(interpreted.map(Device::interpreter_for)).collect()
}

/// Numbers in `[-scale, scale]`.
pub(crate) fn numbers(len: usize, scale: f32, seed: u64) -> Vec<f32> {
    let mut state = seed | 1;
    let mut next = move || {
        // splitmix64 (Steele et al., "Fast splittable pseudorandom number generators", 2014).
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next() * scale).collect()
}

pub(crate) fn buffer<T: Number>(device: &Device, x: &[T]) -> Buffer<T> {
    Buffer::from_slice(device, x).unwrap()
}

/// A buffer nobody wrote, which the interpreter knows, and elsewhere one of NaN or whatever has all bits set.
pub(crate) fn poisoned<T: Number>(device: &Device, len: usize) -> Buffer<T> {
    // SAFETY: kernels write every element before anybody reads it, or the test fails.
    let mut poisoned = unsafe { Buffer::<T>::uninit(device, len).unwrap() };
    if *device == Device::cpu() {
        let ones = T::TYPE.size() as usize;
        // SAFETY: every pattern of bits is a number of these types.
        let bits = unsafe { std::mem::transmute_copy::<[u8; 8], T>(&[0xff; 8]) };
        assert!(ones <= 8);
        poisoned.copy_from(&vec![bits; len]).unwrap();
    }
    poisoned
}

/// What a buffer holds, once nothing has been found wrong.
pub(crate) fn read<T: Number>(x: &Buffer<T>) -> Vec<T> {
    x.device().synchronize().unwrap_or_else(|finding| panic!("{finding}"));
    x.to_vec().unwrap()
}

pub(crate) fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| x.into()).collect()
}

/// Floats that numbers are rounded to.
pub(crate) trait Rounded: Number {
    /// Half a unit of the last place of 1.
    const EPS: f64;
    fn nearest(x: f64) -> Self;
    fn exact(self) -> f64;
}

macro_rules! rounded {
    ($($ty:ty, $bits:literal, $nearest:expr, $exact:expr;)*) => {$(
        impl Rounded for $ty {
            const EPS: f64 = 1.0 / (1u64 << $bits) as f64;
            fn nearest(x: f64) -> $ty {
                let nearest: fn(f64) -> $ty = $nearest;
                nearest(x)
            }
            fn exact(self) -> f64 {
                let exact: fn($ty) -> f64 = $exact;
                exact(self)
            }
        }
    )*};
}

rounded! {
    f16, 11, |x| f16::from_f32(x as f32), |x| x.to_f64();
    bf16, 8, |x| bf16::from_f32(x as f32), |x| x.to_f64();
    f32, 24, |x| x as f32, |x| x.into();
    f64, 53, |x| x, |x| x;
}

/// Numbers of any float in `[-scale, scale]`, with what they are exactly.
pub(crate) fn rounded<T: Rounded>(len: usize, scale: f32, seed: u64) -> (Vec<T>, Vec<f64>) {
    let x: Vec<T> = numbers(len, scale, seed).iter().map(|&x| T::nearest(x.into())).collect();
    let exact = x.iter().map(|x| x.exact()).collect();
    (x, exact)
}

/// Each found number is within its bound of the expected one.
#[track_caller]
pub(crate) fn close<T: Rounded>(
    what: &str,
    found: &[T],
    expected: &[f64],
    bound: impl Fn(usize) -> f64,
) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (found, &expected)) in found.iter().zip(expected).enumerate() {
        let exact = found.exact();
        let good = (exact - expected).abs() <= bound(i)
            || exact == expected
            || (exact.is_nan() && expected.is_nan());
        assert!(good, "{what}, element {i}: {exact:e}, not {expected:e} within {:e}", bound(i));
    }
}

/// Sums so far, as if of twice as many bits: `f64` by itself would be no reference for sums in `f64`.
pub(crate) fn running(x: &[f64]) -> Vec<f64> {
    let (mut sum, mut lost) = (0.0f64, 0.0f64);
    let add = |x: &f64| {
        let next = sum + x;
        let other = next - sum;
        lost += (sum - (next - other)) + (x - other);
        sum = next;
        // Of infinities nothing is lost.
        if lost.is_nan() { sum } else { sum + lost }
    };
    x.iter().map(add).collect()
}

/// The sum, in the same way.
pub(crate) fn sum(x: &[f64]) -> f64 {
    running(x).last().copied().unwrap_or(0.0)
}
