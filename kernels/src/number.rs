//! What numbers library functions take, and what they compute them in.

use kernelsmith::prelude::*;
use kernelsmith::{bf16, f16};

/// A number of a buffer. f16 and bf16 are computed in f32, all others in themselves.
pub trait Number: Num {
    /// What functions compute in.
    type Wide: Number;

    /// What no number is less than: minus infinity or the least integer.
    const LEAST: Self;

    /// What no number is greater than: infinity or the greatest integer.
    const GREATEST: Self;
}

/// A float of which f32 holds every value: f32, f16 and bf16.
#[diagnostic::on_unimplemented(
    message = "this is computed in f32, which does not hold every `{Self}`",
    note = "it takes f32, f16 and bf16"
)]
pub trait SmallFloat: Float + Number<Wide = f32> {}

macro_rules! floats {
    ($($ty:ty as $wide:ty;)*) => {$(
        impl Number for $ty {
            type Wide = $wide;
            const LEAST: $ty = <$ty>::NEG_INFINITY;
            const GREATEST: $ty = <$ty>::INFINITY;
        }
    )*};
}

floats! {
    f16 as f32;
    bf16 as f32;
    f32 as f32;
    f64 as f64;
}

impl SmallFloat for f16 {}
impl SmallFloat for bf16 {}
impl SmallFloat for f32 {}

macro_rules! integers {
    ($($ty:ty),*) => {$(
        impl Number for $ty {
            type Wide = $ty;
            const LEAST: $ty = <$ty>::MIN;
            const GREATEST: $ty = <$ty>::MAX;
        }
    )*};
}

integers!(i8, i16, i32, i64, isize, u8, u16, u32, u64, usize);
