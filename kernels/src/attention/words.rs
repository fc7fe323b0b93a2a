//! What the CPU's kernels multiply: single numbers, or pairs where there are instructions for them.

use kernelsmith::prelude::*;

/// A word of one or more elements that are multiplied together.
pub trait Words: Num {
    /// Elements of a word.
    const LEN: usize;

    /// An element.
    type Element: Num;

    /// The word of the elements `at(0)` to `at(LEN - 1)`.
    fn join(at: impl Fn(usize) -> Val<f32>) -> Val<Self>;

    /// `sum` and the products of the elements of `a` with those of `b`.
    fn multiply_add(a: Val<Self>, b: Val<Self>, sum: Val<f32>) -> Val<f32>;

    /// From words along the columns, of as many rows as a word has elements, those along the rows: one a
    /// column.
    fn turned(rows: &[Val<Self>]) -> Vec<Val<Self>>;
}

impl Words for f32 {
    const LEN: usize = 1;
    type Element = f32;

    #[track_caller]
    fn join(at: impl Fn(usize) -> Val<f32>) -> Val<f32> {
        at(0)
    }

    #[track_caller]
    fn multiply_add(a: Val<f32>, b: Val<f32>, sum: Val<f32>) -> Val<f32> {
        a.mul_add(b, sum)
    }

    fn turned(rows: &[Val<f32>]) -> Vec<Val<f32>> {
        rows.to_vec()
    }
}

/// Two bf16, for CPUs that multiply such by an instruction of their own.
impl Words for u32 {
    const LEN: usize = 2;
    type Element = bf16;

    /// Numbers that bf16 does not hold are rounded to the nearest, ties away from zero, by an addition to
    /// their bits: a cast, which rounds ties to even and keeps every NaN, takes four times as long. A NaN
    /// that is none of bf16 may get lost.
    #[track_caller]
    fn join(at: impl Fn(usize) -> Val<f32>) -> Val<u32> {
        let rounded = |i| at(i).to_bits() + 0x8000;
        (rounded(0) >> 16) | (rounded(1) & 0xffff_0000)
    }

    #[track_caller]
    fn multiply_add(a: Val<u32>, b: Val<u32>, sum: Val<f32>) -> Val<f32> {
        dot2(a, b, sum)
    }

    #[track_caller]
    fn turned(rows: &[Val<u32>]) -> Vec<Val<u32>> {
        let (a, b) = (rows[0], rows[1]);
        vec![(a & 0xffff) | (b << 16), (a >> 16) | (b & 0xffff_0000)]
    }
}
