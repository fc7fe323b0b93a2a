//! How the CPU's matmul takes products along k: what stands in a word of 32 or 64 bits, and what the
//! product of two words is.

use std::marker::PhantomData;

use kernelsmith::prelude::*;

/// A type that products are summed in.
#[diagnostic::on_unimplemented(message = "products are summed in f32, f64 or i32, not in `{Self}`")]
pub trait Summed: Num {
    /// `a * b + c`: floats are rounded once, integers wrap.
    fn multiply_add(a: Val<Self>, b: Val<Self>, c: Val<Self>) -> Val<Self>;
}

macro_rules! summed_floats {
    ($($ty:ty),*) => {
        $(impl Summed for $ty {
            #[track_caller]
            fn multiply_add(a: Val<$ty>, b: Val<$ty>, c: Val<$ty>) -> Val<$ty> {
                a.mul_add(b, c)
            }
        })*
    };
}

summed_floats!(f32, f64);

impl Summed for i32 {
    #[track_caller]
    fn multiply_add(a: Val<i32>, b: Val<i32>, c: Val<i32>) -> Val<i32> {
        a * b + c
    }
}

/// Elements that follow each other along k, as one word.
pub trait Words: Copy + 'static {
    /// An element.
    type Element: Num;
    /// The word, of which the lowest bits are the first element.
    type Word: Num;
    /// Elements of a word.
    const LEN: usize;

    /// The word of the elements `at(0)` to `at(LEN - 1)`.
    fn join(at: impl Fn(usize) -> Val<Self::Element>) -> Val<Self::Word>;
}

/// Single elements.
#[derive(Clone, Copy)]
pub struct Single<T>(PhantomData<T>);

impl<T: Num> Words for Single<T> {
    type Element = T;
    type Word = T;
    const LEN: usize = 1;

    fn join(at: impl Fn(usize) -> Val<T>) -> Val<T> {
        at(0)
    }
}

/// Two bf16.
#[derive(Clone, Copy)]
pub struct Pairs;

impl Words for Pairs {
    type Element = bf16;
    type Word = u32;
    const LEN: usize = 2;

    #[track_caller]
    fn join(at: impl Fn(usize) -> Val<bf16>) -> Val<u32> {
        bf16_pair(at(0), at(1))
    }
}

/// Four bytes: u8 as a u32, i8 as an i32.
#[derive(Clone, Copy)]
pub struct Bytes<T>(PhantomData<T>);

macro_rules! bytes {
    ($($byte:ty as $word:ty),*) => {
        $(impl Words for Bytes<$byte> {
            type Element = $byte;
            type Word = $word;
            const LEN: usize = 4;

            #[track_caller]
            fn join(at: impl Fn(usize) -> Val<$byte>) -> Val<$word> {
                let byte = |i: usize| at(i).cast::<u8>().cast::<u32>() << (8 * i as u32);
                (byte(0) | byte(1) | byte(2) | byte(3)).cast()
            }
        })*
    };
}

bytes!(u8 as u32, i8 as i32);

/// How products are taken: of words of rows of A and of columns of B.
pub trait Products: Copy + 'static {
    /// What stands in words of A.
    type Left: Words;
    /// What stands in words of B, as many elements.
    type Right: Words;
    /// What products are summed in.
    type Sum: Num + Summed;
    /// A word of B as it is multiplied.
    type Factor: Num;

    /// Whether [`factor`](Self::factor) moves the elements of B: then the products of A with what it adds,
    /// [`moved`](Self::moved), are to be taken from the sums.
    const MOVES: bool = false;

    /// What is added to each element of B: a word of it.
    fn moved() -> Val<Self::Factor> {
        Val::zero()
    }

    /// A word of B as it is multiplied.
    fn factor(word: Val<<Self::Right as Words>::Word>) -> Val<Self::Factor>;

    /// `sum` and the products of a word of A with one of B.
    fn dot(
        a: Val<<Self::Left as Words>::Word>,
        b: Val<Self::Factor>,
        sum: Val<Self::Sum>,
    ) -> Val<Self::Sum>;
}

/// Products of words of A with words of B by what there is for them: multiply-adds of single elements,
/// `dot2` of pairs, `dot4` of bytes.
#[derive(Clone, Copy)]
pub struct Dot<A, B>(PhantomData<(A, B)>);

impl<S: Num + Summed> Products for Dot<Single<S>, Single<S>> {
    type Left = Single<S>;
    type Right = Single<S>;
    type Sum = S;
    type Factor = S;

    fn factor(word: Val<S>) -> Val<S> {
        word
    }

    #[track_caller]
    fn dot(a: Val<S>, b: Val<S>, sum: Val<S>) -> Val<S> {
        S::multiply_add(a, b, sum)
    }
}

impl Products for Dot<Pairs, Pairs> {
    type Left = Pairs;
    type Right = Pairs;
    type Sum = f32;
    type Factor = u32;

    fn factor(word: Val<u32>) -> Val<u32> {
        word
    }

    #[track_caller]
    fn dot(a: Val<u32>, b: Val<u32>, sum: Val<f32>) -> Val<f32> {
        dot2(a, b, sum)
    }
}

macro_rules! mixed {
    ($($a:ty as $a_word:ty, $b:ty as $b_word:ty;)*) => {
        $(impl Products for Dot<Bytes<$a>, Bytes<$b>> {
            type Left = Bytes<$a>;
            type Right = Bytes<$b>;
            type Sum = i32;
            type Factor = $b_word;

            fn factor(word: Val<$b_word>) -> Val<$b_word> {
                word
            }

            #[track_caller]
            fn dot(a: Val<$a_word>, b: Val<$b_word>, sum: Val<i32>) -> Val<i32> {
                dot4(a, b, sum)
            }
        })*
    };
}

mixed! {
    u8 as u32, i8 as i32;
    i8 as i32, u8 as u32;
}

/// The highest bit of each byte.
const HIGH: u32 = 0x8080_8080;

/// Processors multiply unsigned bytes by signed ones (`vpdpbusd`). Of two of a kind those of B become
/// the other by flipping their highest bits: signed ones plus 128 are unsigned, unsigned ones less 128
/// signed. As sums wrap, that is exact.
macro_rules! of_one_kind {
    ($($ty:ty as $word:ty, times $other:ty;)*) => {
        $(impl Products for Dot<Bytes<$ty>, Bytes<$ty>> {
            type Left = Bytes<$ty>;
            type Right = Bytes<$ty>;
            type Sum = i32;
            type Factor = $other;

            const MOVES: bool = true;

            // 128 as unsigned bytes, -128 as signed ones.
            #[track_caller]
            fn moved() -> Val<$other> {
                (HIGH as $other).into()
            }

            #[track_caller]
            fn factor(word: Val<$word>) -> Val<$other> {
                (word ^ (HIGH as $word)).cast()
            }

            #[track_caller]
            fn dot(a: Val<$word>, b: Val<$other>, sum: Val<i32>) -> Val<i32> {
                dot4(a, b, sum)
            }
        })*
    };
}

of_one_kind! {
    i8 as i32, times u32;
    u8 as u32, times i32;
}
