//! What the CPU's kernel multiplies: single numbers.

use kernelsmith::prelude::*;

/// A word of one or more elements that are multiplied together.
pub trait Words: Num {
    /// Elements of a word.
    const LEN: usize;

    /// The word of the elements `at(0)` to `at(LEN - 1)`.
    fn join(at: impl Fn(usize) -> Val<f32>) -> Val<Self>;

    /// `sum` and the products of the elements of `a` with those of `b`.
    fn multiply_add(a: Val<Self>, b: Val<Self>, sum: Val<f32>) -> Val<f32>;
}

impl Words for f32 {
    const LEN: usize = 1;

    #[track_caller]
    fn join(at: impl Fn(usize) -> Val<f32>) -> Val<f32> {
        at(0)
    }

    #[track_caller]
    fn multiply_add(a: Val<f32>, b: Val<f32>, sum: Val<f32>) -> Val<f32> {
        a.mul_add(b, sum)
    }
}
