//! Which elements products with scales are taken of.

use kernelsmith::prelude::*;

use super::Scaled;
use super::elsewhere::{by_f32, by_i32};
use crate::error::Error;
use crate::matmul::builder::Map;
use crate::matmul::element::Output;
use crate::matmul::epilogue::Pointwise;
use crate::matmul::grouped::Grouped;
use crate::matmul::hopper;

/// An element of 8 bits that products are taken of with scales: `e4m3`, `e5m2` and `i8`.
pub trait ScaledFactor: Stored {
    /// Launches a product by a kernel of the device's own matrix instructions, if it is one of those
    /// that it takes.
    #[doc(hidden)]
    fn by_matrix_units<O: Num, F: Pointwise<f32>>(
        problem: &mut Scaled<'_, Self, O>,
        map: F,
    ) -> Option<Result<(), Error>>;

    /// The same of products of groups of rows, with scales in blocks.
    #[doc(hidden)]
    fn grouped_by_matrix_units<O: Num, F: Pointwise<f32>>(
        _problem: &mut Grouped<'_, Self, O>,
        _map: F,
    ) -> Option<Result<(), Error>> {
        None
    }

    /// Computes it anywhere.
    #[doc(hidden)]
    fn elsewhere<O: Output<f32>, F: Map<f32>>(
        problem: Scaled<'_, Self, O>,
        map: F,
    ) -> Result<(), Error> {
        by_f32(problem, map)
    }
}

macro_rules! floats {
    ($($ty:ty),*) => {
        $(impl ScaledFactor for $ty {
            fn by_matrix_units<O: Num, F: Pointwise<f32>>(
                problem: &mut Scaled<'_, Self, O>,
                map: F,
            ) -> Option<Result<(), Error>> {
                if problem.fast && !problem.blocks {
                    return hopper::row_scaled_product::<$ty, _, _>(problem, map);
                }
                hopper::scaled_product::<$ty, _, _>(problem, map)
            }

            fn grouped_by_matrix_units<O: Num, F: Pointwise<f32>>(
                problem: &mut Grouped<'_, Self, O>,
                map: F,
            ) -> Option<Result<(), Error>> {
                hopper::grouped_scaled_product::<$ty, _, _, _>(problem, map)
            }
        })*
    };
}

floats!(e4m3, e5m2);

impl ScaledFactor for i8 {
    fn by_matrix_units<O: Num, F: Pointwise<f32>>(
        problem: &mut Scaled<'_, Self, O>,
        map: F,
    ) -> Option<Result<(), Error>> {
        // Sums of blocks are not those of whole rows.
        if problem.blocks {
            return None;
        }
        hopper::row_scaled_product::<i8, _, _>(problem, map)
    }

    fn elsewhere<O: Output<f32>, F: Map<f32>>(
        problem: Scaled<'_, Self, O>,
        map: F,
    ) -> Result<(), Error> {
        if problem.blocks { by_f32(problem, map) } else { by_i32(problem, map) }
    }
}
