//! Which numbers can be multiplied, what they are summed in, and what sums can be stored as.

use kernelsmith::prelude::*;
use kernelsmith::{bf16, f16};

/// An element of the factors of a product.
#[diagnostic::on_unimplemented(
    message = "products are taken of f16, bf16, f32 and f64, not of `{Self}`"
)]
pub trait Factor: Float {
    /// What products are summed in.
    type Sum: Float;
}

macro_rules! factors {
    ($($ty:ty => $sum:ty),*) => {
        $(impl Factor for $ty {
            type Sum = $sum;
        })*
    };
}

factors!(f16 => f32, bf16 => f32, f32 => f32, f64 => f64);

/// An element of a product whose sums are of type `S`.
#[diagnostic::on_unimplemented(
    message = "sums of `{S}` cannot be stored as `{Self}`",
    note = "products of f16, bf16 and f32 are summed in f32 and stored as f32, f16 or bf16; those of f64 \
            are f64 throughout"
)]
pub trait Output<S>: Float {}

impl Output<f32> for f16 {}
impl Output<f32> for bf16 {}
impl Output<f32> for f32 {}
impl Output<f64> for f64 {}
