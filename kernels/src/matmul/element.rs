//! Which numbers can be multiplied, what they are summed in, and what sums can be stored as.

use kernelsmith::prelude::*;
use kernelsmith::{bf16, f16};

use super::hopper;
use super::problem::Problem;
use crate::error::Error;

/// An element of the factors of a product.
#[diagnostic::on_unimplemented(
    message = "products are taken of f16, bf16, f32 and f64, not of `{Self}`"
)]
pub trait Factor: Float {
    /// What products are summed in.
    type Sum: Float;

    /// Whether a device multiplies these by matrix instructions of its own, of which there is a
    /// kernel. It does not read C.
    #[doc(hidden)]
    fn has_matrix_units(_device: &Device) -> bool {
        false
    }

    /// Launches a product by a kernel of the device's own matrix instructions, if it is one of those
    /// that it takes.
    #[doc(hidden)]
    fn by_matrix_units<O: Float, F>(
        _problem: &mut Problem<'_, Self, O>,
        _map: F,
    ) -> Option<Result<(), Error>>
    where
        F: Fn(Val<Self::Sum>) -> Val<Self::Sum> + Copy + 'static,
    {
        None
    }
}

impl Factor for f32 {
    type Sum = f32;
}

impl Factor for f64 {
    type Sum = f64;
}

macro_rules! halves {
    ($($ty:ty),*) => {
        $(impl Factor for $ty {
            type Sum = f32;

            fn has_matrix_units(device: &Device) -> bool {
                hopper::is_hopper(device)
            }

            fn by_matrix_units<O: Float, F>(
                problem: &mut Problem<'_, Self, O>,
                map: F,
            ) -> Option<Result<(), Error>>
            where
                F: Fn(Val<f32>) -> Val<f32> + Copy + 'static,
            {
                hopper::product(problem, map)
            }
        })*
    };
}

halves!(f16, bf16);

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
