//! What queries, keys and values are made of.

use kernelsmith::prelude::*;

use super::eighths;
use super::form::ScoreFunction;
use super::launch::Problem;
use crate::error::Error;

/// An element of queries, keys and values: f16, bf16, f32 and f64, and [`e4m3`], which factors go with
/// ([`FlashAttention::q_descale`](super::FlashAttention::q_descale)). Sealed.
pub trait AttentionElement: Stored + sealed::Sealed {
    /// The nearest element.
    #[doc(hidden)]
    fn narrow(x: Val<f32>) -> Val<Self>;

    /// The element's value, of f64 the nearest.
    #[doc(hidden)]
    fn widen(x: Val<Self>) -> Val<f32>;
}

/// How each type's attention is computed.
pub(super) mod sealed {
    use super::{Error, Num, Problem, ScoreFunction, Stored};

    pub trait Sealed: Stored {
        #[allow(private_interfaces, private_bounds)]
        fn attend<O: Num, S: ScoreFunction>(
            problem: Problem<'_, Self, O>,
            score: S,
            tuned: bool,
        ) -> Result<(), Error>;
    }
}

macro_rules! floats {
    ($($ty:ty),*) => {$(
        impl AttentionElement for $ty {
            #[track_caller]
            fn narrow(x: Val<f32>) -> Val<$ty> {
                x.cast()
            }
            #[track_caller]
            fn widen(x: Val<$ty>) -> Val<f32> {
                x.to_f32()
            }
        }

        impl sealed::Sealed for $ty {
            #[allow(private_interfaces, private_bounds)]
            fn attend<O: Num, S: ScoreFunction>(
                problem: Problem<'_, $ty, O>,
                score: S,
                tuned: bool,
            ) -> Result<(), Error> {
                problem.descales.refuse()?;
                problem.run(score, tuned)
            }
        }
    )*};
}

floats!(f16, bf16, f32, f64);

impl AttentionElement for e4m3 {
    #[track_caller]
    fn narrow(x: Val<f32>) -> Val<e4m3> {
        Val::<e4m3>::from_f32(x)
    }
    #[track_caller]
    fn widen(x: Val<e4m3>) -> Val<f32> {
        x.to_f32()
    }
}

impl sealed::Sealed for e4m3 {
    #[allow(private_interfaces, private_bounds)]
    fn attend<O: Num, S: ScoreFunction>(
        problem: Problem<'_, e4m3, O>,
        score: S,
        tuned: bool,
    ) -> Result<(), Error> {
        eighths::attend(problem, score, tuned)
    }
}
