//! Which numbers can be multiplied, what they are summed in, and what sums can be stored as.

use kernelsmith::lang::wgmma::Tf32;
use kernelsmith::prelude::*;
use kernelsmith::{bf16, f16};

use super::epilogue::Pointwise;
use super::gated::{Combine, Gated};
use super::grouped::Grouped;
use super::hopper;
use super::problem::Problem;
use super::products::{Bytes, Dot, Pairs, Products, Single, Summed};
use crate::error::Error;

/// An element of the left factor of a product, of which the right one's elements are `B`.
#[diagnostic::on_unimplemented(
    message = "products are not taken of `{Self}` with `{B}`",
    note = "they are taken of f16, bf16, f32 and f64, each with its own kind, and of i8 and u8 with \
            either of them"
)]
pub trait Factor<B: Num = Self>: Num {
    /// What products are summed in.
    type Sum: Num + Summed;

    /// How every CPU takes the products.
    #[doc(hidden)]
    type Plain: Products<Sum = Self::Sum>;

    /// How CPUs do that have instructions for them.
    #[doc(hidden)]
    type Native: Products<Sum = Self::Sum>;

    /// Whether the CPU has these.
    #[doc(hidden)]
    fn is_native(_device: &Device) -> bool {
        false
    }

    /// Whether a device multiplies these by matrix instructions of its own, of which there is a
    /// kernel, `tf32` where f32 may be that. It does not read C.
    #[doc(hidden)]
    fn has_matrix_units(_device: &Device, _tf32: bool) -> bool {
        false
    }

    /// Launches a product by a kernel of the device's own matrix instructions, if it is one of those
    /// that it takes.
    #[doc(hidden)]
    fn by_matrix_units<O: Num, F>(
        _problem: &mut Problem<'_, Self, B, O>,
        _map: F,
    ) -> Option<Result<(), Error>>
    where
        F: Pointwise<Self::Sum>,
    {
        None
    }

    /// The same of gated pairs of products.
    #[doc(hidden)]
    fn gated_by_matrix_units<O: Num, F: Combine>(
        _problem: &mut Gated<'_, Self, O>,
        _combine: F,
    ) -> Option<Result<(), Error>> {
        None
    }

    /// The same of products of groups of rows.
    #[doc(hidden)]
    fn grouped_by_matrix_units<O: Num, F>(
        _problem: &mut Grouped<'_, Self, O>,
        _map: F,
    ) -> Option<Result<(), Error>>
    where
        F: Pointwise<Self::Sum>,
    {
        None
    }
}

macro_rules! singles {
    ($($ty:ty { $($rest:tt)* })*) => {
        $(impl Factor for $ty {
            type Sum = $ty;
            type Plain = Dot<Single<$ty>, Single<$ty>>;
            type Native = Self::Plain;
            $($rest)*
        })*
    };
}

singles! {
    f32 {
        fn has_matrix_units(device: &Device, tf32: bool) -> bool {
            tf32 && hopper::is_hopper(device)
        }

        fn by_matrix_units<O: Num, F>(
            problem: &mut Problem<'_, f32, f32, O>,
            map: F,
        ) -> Option<Result<(), Error>>
        where
            F: Pointwise<f32>,
        {
            if problem.tf32 { hopper::product::<Tf32, _, _, _>(problem, map) } else { None }
        }
    }
    f64 {}
}

macro_rules! halves {
    ($($ty:ty as $native:ty, $is_native:expr;)*) => {
        $(impl Factor for $ty {
            type Sum = f32;
            type Plain = Dot<Single<f32>, Single<f32>>;
            type Native = Dot<$native, $native>;

            fn is_native(device: &Device) -> bool {
                let is_native: fn(&Device) -> bool = $is_native;
                is_native(device)
            }

            fn has_matrix_units(device: &Device, _tf32: bool) -> bool {
                hopper::is_hopper(device)
            }

            fn by_matrix_units<O: Num, F>(
                problem: &mut Problem<'_, Self, Self, O>,
                map: F,
            ) -> Option<Result<(), Error>>
            where
                F: Pointwise<f32>,
            {
                hopper::product::<$ty, _, _, _>(problem, map)
            }

            fn gated_by_matrix_units<O: Num, F: Combine>(
                problem: &mut Gated<'_, Self, O>,
                combine: F,
            ) -> Option<Result<(), Error>> {
                hopper::gated_product::<$ty, _, _, _>(problem, combine)
            }

            fn grouped_by_matrix_units<O: Num, F>(
                problem: &mut Grouped<'_, Self, O>,
                map: F,
            ) -> Option<Result<(), Error>>
            where
                F: Pointwise<f32>,
            {
                hopper::grouped_product::<$ty, _, _, _>(problem, map)
            }
        })*
    };
}

halves! {
    f16 as Single<f32>, |_| false;
    bf16 as Pairs, |device| device.limits().has_dot2;
}

macro_rules! bytes {
    ($($a:ty, $b:ty { $($rest:tt)* })*) => {
        $(impl Factor<$b> for $a {
            type Sum = i32;
            type Plain = Dot<Bytes<$a>, Bytes<$b>>;
            type Native = Self::Plain;
            $($rest)*
        })*
    };
    // Matrix units multiply bytes of one kind.
    (of one kind: $($ty:ty),*) => {
        bytes! {
            $($ty, $ty {
                fn has_matrix_units(device: &Device, _tf32: bool) -> bool {
                    hopper::is_hopper(device)
                }

                fn by_matrix_units<O: Num, F>(
                    problem: &mut Problem<'_, Self, Self, O>,
                    map: F,
                ) -> Option<Result<(), Error>>
                where
                    F: Pointwise<i32>,
                {
                    hopper::product::<Self, _, _, _>(problem, map)
                }
            })*
        }
    };
}

bytes!(of one kind: i8, u8);
bytes! {
    i8, u8 {}
    u8, i8 {}
}

/// An element of a product whose sums are of type `S`.
#[diagnostic::on_unimplemented(
    message = "sums of `{S}` cannot be stored as `{Self}`",
    note = "products of f16, bf16 and f32 are summed in f32 and stored as f32, f16 or bf16; those of f64 \
            are f64 throughout, those of i8 and u8 are summed in i32 and stored so"
)]
pub trait Output<S>: Num {}

impl Output<f32> for f16 {}
impl Output<f32> for bf16 {}
impl Output<f32> for f32 {}
impl Output<f64> for f64 {}
impl Output<i32> for i32 {}
