//! What a program sees as plain Rust in place of the language of kernels: the names in which the two
//! differ.

use std::ops::{Add, BitAnd, BitOr, BitXor, Mul, Not, Sub};

pub use kernelsmith::prelude::unroll;
pub use kernelsmith::{bf16, e4m3, e5m2, f16};

/// A run-time value: every value is one.
pub type Val<T> = T;

/// What variables can hold.
pub trait Staged {}

impl<T> Staged for T {}

/// A number.
pub trait Num:
    Copy + PartialOrd + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self>
{
}

impl<T> Num for T where T: Copy + PartialOrd + Add<Output = T> + Sub<Output = T> + Mul<Output = T> {}

/// An integer.
pub trait Int:
    Num
    + Ord
    + BitAnd<Output = Self>
    + BitOr<Output = Self>
    + BitXor<Output = Self>
    + Not<Output = Self>
{
}

impl<T> Int for T where
    T: Num + Ord + BitAnd<Output = T> + BitOr<Output = T> + BitXor<Output = T> + Not<Output = T>
{
}

/// The nearest value. `f16::from_f64` rounds twice or cuts off, by the host's processor.
pub fn f16_from_f64(x: f64) -> f16 {
    f16::from_f32(odd(x))
}

/// The nearest value. `bf16::from_f64` cuts off before it rounds.
pub fn bf16_from_f64(x: f64) -> bf16 {
    bf16::from_f32(odd(x))
}

/// Rounded to odd: what is inexact gets an odd last bit, so that a second rounding, to far fewer
/// bits, goes where a single one would.
fn odd(x: f64) -> f32 {
    let nearest = x as f32;
    if x.is_nan() || f64::from(nearest) == x {
        return nearest;
    }
    let further = f64::from(nearest.abs()) > x.abs();
    f32::from_bits((nearest.to_bits() - u32::from(further)) | 1)
}

#[test]
fn conversions_of_f64_round_once() {
    let above = 1e-10;
    assert_eq!(f16_from_f64(1.000_488_281_25), f16::ONE);
    assert_eq!(f16_from_f64(1.000_488_281_25 + above), f16::from_f32(1.0 + 2f32.powi(-10)));
    assert_eq!(bf16_from_f64(-1.003_906_25), -bf16::ONE);
    assert_eq!(bf16_from_f64(-1.003_906_25 - above), bf16::from_f32(-1.007_812_5));
    assert_eq!(bf16_from_f64(f64::MAX), bf16::INFINITY);
    assert_eq!(f16_from_f64(1e-300).to_bits(), 0);
}
