//! The scalar types of the language and what generic kernels may ask of them.

use half::{bf16, f16};
use kernelsmith_ir::Scalar;
use kernelsmith_ir::attr::Const;
use kernelsmith_runtime::{e4m3, e5m2};

/// Calls a macro with every type that an [`Element`] is.
macro_rules! for_each_element {
    ($callback:ident) => {
        $callback!(
            bool,
            i8,
            i16,
            i32,
            i64,
            isize,
            u8,
            u16,
            u32,
            u64,
            usize,
            kernelsmith_runtime::e4m3,
            kernelsmith_runtime::e5m2,
            half::f16,
            half::bf16,
            f32,
            f64
        );
    };
}
pub(crate) use for_each_element;

/// What a type is in kernels: `f32` is a `Val<f32>`, structs of run-time values are themselves.
/// Associated types of traits (`A::Output`) go through it.
pub trait InKernel {
    /// The type in kernels.
    type Type;
}

impl<T: Element> InKernel for super::Val<T> {
    type Type = Self;
}

macro_rules! in_kernel {
    ($($ty:ty),*) => {
        $(impl InKernel for $ty {
            type Type = super::Val<$ty>;
        })*
    };
}

in_kernel!(
    bool, i8, i16, i32, i64, isize, u8, u16, u32, u64, usize, e4m3, e5m2, f16, bf16, f32, f64
);

impl<S: InKernel, const N: usize> InKernel for [S; N] {
    type Type = [S::Type; N];
}

macro_rules! tuples_in_kernel {
    ($($($name:ident)*;)*) => {
        $(impl<$($name: InKernel),*> InKernel for ($($name,)*) {
            type Type = ($($name::Type,)*);
        })*
    };
}

tuples_in_kernel!(; A; A B; A B C; A B C D; A B C D E; A B C D E F;);

/// A type that a [`Val`](super::Val) can hold.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a scalar type of kernels",
    note = "kernels compute with bool, i8..i64, u8..u64, usize, isize, f16, bf16, f32 and f64"
)]
pub trait Element:
    InKernel<Type = super::Val<Self>> + Copy + PartialEq + std::fmt::Debug + Send + Sync + 'static
{
    /// The type in the IR.
    const TYPE: Scalar;

    /// A host value as a constant.
    fn constant(self) -> Const;
}

/// A type that buffers can hold: a number, or an 8-bit float, which converts to one.
#[diagnostic::on_unimplemented(
    message = "buffers cannot hold `{Self}`",
    note = "they hold i8..i64, u8..u64, usize, isize, e4m3, e5m2, f16, bf16, f32 and f64; generic \
            kernels say which: `T: Num`, `T: Float`, `T: Stored`"
)]
pub trait Stored: Element + kernelsmith_runtime::Element {}

/// A type with comparisons: all but the 8-bit floats, which only convert.
#[diagnostic::on_unimplemented(
    message = "kernels cannot compare `{Self}`s",
    note = "convert 8-bit floats first: `x as f32`"
)]
pub trait Comparable {}

/// An integer or float: a type with arithmetic.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a number that kernels compute with",
    note = "numbers are i8..i64, u8..u64, usize, isize, f16, bf16, f32 and f64"
)]
pub trait Num: Stored + Comparable + PartialOrd {
    /// 0; in generic kernels it is `Val::<T>::zero()`.
    const ZERO: Self;
    /// 1; in generic kernels it is `Val::<T>::one()`.
    const ONE: Self;
}

/// An integer.
#[diagnostic::on_unimplemented(message = "`{Self}` is not an integer that kernels compute with")]
pub trait Int: Num + Bits {}

/// A signed integer or a float: a type with negation.
#[diagnostic::on_unimplemented(message = "`{Self}` has no negative values in kernels")]
pub trait Signed: Num {}

/// A float.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a float that kernels compute with",
    note = "floats are f16, bf16, f32 and f64; convert with `as`"
)]
pub trait Float: Signed {
    /// The value nearest to `x`, for literals in generic code: `T::lit(0.5)`.
    fn lit(x: f64) -> Self;
}

/// Integers and `bool`: the types with bitwise operators.
pub trait Bits: Element {}

macro_rules! elements {
    ($($ty:ty = $scalar:ident as $wide:ty),*) => {$(
        impl Element for $ty {
            const TYPE: Scalar = Scalar::$scalar;
            fn constant(self) -> Const {
                Const::new(Scalar::$scalar, self as $wide as u64)
            }
        }
        impl Stored for $ty {}
        impl Comparable for $ty {}
        impl Num for $ty {
            const ZERO: $ty = 0;
            const ONE: $ty = 1;
        }
        impl Int for $ty {}
        impl Bits for $ty {}
    )*};
}

elements! {
    i8 = I8 as i64, i16 = I16 as i64, i32 = I32 as i64, i64 = I64 as i64, isize = I64 as i64,
    u8 = U8 as u64, u16 = U16 as u64, u32 = U32 as u64, u64 = U64 as u64, usize = U64 as u64
}

macro_rules! floats {
    ($($ty:ty = $scalar:ident, $zero:expr, $one:expr, $lit:expr;)*) => {$(
        impl Element for $ty {
            const TYPE: Scalar = Scalar::$scalar;
            fn constant(self) -> Const {
                Const::new(Scalar::$scalar, self.to_bits() as u64)
            }
        }
        impl Stored for $ty {}
        impl Comparable for $ty {}
        impl Num for $ty {
            const ZERO: $ty = $zero;
            const ONE: $ty = $one;
        }
        impl Signed for $ty {}
        impl Float for $ty {
            fn lit(x: f64) -> Self {
                let nearest: fn(f64) -> $ty = $lit;
                nearest(x)
            }
        }
    )*};
}

floats! {
    // `half` itself rounds twice or cuts off, by the host's processor.
    f16 = F16, f16::ZERO, f16::ONE, |x| f16::from_bits(Const::float(Scalar::F16, x).bits as u16);
    bf16 = BF16, bf16::ZERO, bf16::ONE, |x| bf16::from_bits(Const::float(Scalar::BF16, x).bits as u16);
    f32 = F32, 0.0, 1.0, |x| x as f32;
    f64 = F64, 0.0, 1.0, |x| x;
}

macro_rules! stored {
    ($($ty:ty = $scalar:ident),*) => {$(
        impl Element for $ty {
            const TYPE: Scalar = Scalar::$scalar;
            fn constant(self) -> Const {
                Const::new(Scalar::$scalar, self.to_bits().into())
            }
        }
        impl Stored for $ty {}
    )*};
}

stored!(e4m3 = E4M3, e5m2 = E5M2);

macro_rules! signed {
    ($($ty:ty),*) => { $(impl Signed for $ty {})* };
}

signed!(i8, i16, i32, i64, isize);

impl Element for bool {
    const TYPE: Scalar = Scalar::Bool;
    fn constant(self) -> Const {
        Const::bool(self)
    }
}

impl Bits for bool {}
impl Comparable for bool {}
