//! What reductions compute with single numbers.

use kernelsmith::prelude::*;

use crate::number::Number;

/// What becomes of many numbers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reduction {
    /// Their sum; 0 of none. Integers wrap.
    Sum,
    /// Their sum over their count; NaN of none. Of floats, or of integers as floats.
    Mean,
    /// The greatest; NaN if there is one.
    Max,
    /// The least; NaN if there is one.
    Min,
    /// The root of the sum of squares, the Euclidean norm; 0 of none. Squares may overflow where the norm
    /// would not.
    Norm,
}

/// Which of several launches that make one reduction a kernel is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Step {
    /// Whether it reads what is to be reduced, rather than what others have made of it.
    pub first: bool,
    /// Whether nothing comes after.
    pub last: bool,
}

impl Reduction {
    /// What changes nothing.
    pub(super) fn identity<A: Number>(self) -> A {
        match self {
            Reduction::Sum | Reduction::Mean | Reduction::Norm => A::ZERO,
            Reduction::Max => A::LEAST,
            Reduction::Min => A::GREATEST,
        }
    }
}

/// A number as it takes part.
#[device]
pub(super) fn prepare<T: Num, A: Num>(
    #[comptime] reduction: Reduction,
    #[comptime] step: Step,
    x: T,
) -> A {
    let x = x.cast::<A>();
    match reduction {
        Reduction::Norm if step.first => x * x,
        _ => x,
    }
}

/// Two numbers as one. NaN stays.
#[device]
pub(super) fn combine<A: Num>(#[comptime] reduction: Reduction, a: A, b: A) -> A {
    match reduction {
        Reduction::Sum | Reduction::Mean | Reduction::Norm => a + b,
        Reduction::Max => {
            if (b > a) | (b != b) {
                b
            } else {
                a
            }
        }
        Reduction::Min => {
            if (b < a) | (b != b) {
                b
            } else {
                a
            }
        }
    }
}

/// What all lanes have as one, on every lane.
#[device]
pub(super) fn combine_lanes<A: Num>(#[comptime] reduction: Reduction, x: A) -> A {
    match reduction {
        Reduction::Sum | Reduction::Mean | Reduction::Norm => warp_sum(x),
        _ => warp_reduce(x, |a, b| combine(reduction, a, b)),
    }
}

/// The result, of `count` numbers.
#[device]
pub(super) fn finish<A: Num, O: Num>(
    #[comptime] reduction: Reduction,
    #[comptime] step: Step,
    count: usize,
    x: A,
) -> O {
    let x = match reduction {
        Reduction::Mean if step.last => x / count.cast::<A>(),
        // Rounded once more than it would be, to the same: 53 bits are enough (Figueroa, "When is double
        // rounding innocuous?", 1995).
        Reduction::Norm if step.last => x.to_f64().sqrt().cast::<A>(),
        _ => x,
    };
    x.cast::<O>()
}
