//! A value that is known when the kernel runs.

use std::marker::PhantomData;

use kernelsmith_ir::Value;

use super::element::{Element, Num, for_each_element};
use super::stage::build;

/// A scalar that is known when the kernel runs. In kernels, `f32` means `Val<f32>`.
pub struct Val<T: Element> {
    pub(crate) id: Value,
    ty: PhantomData<T>,
}

impl<T: Element> Val<T> {
    pub(crate) fn from_id(id: Value) -> Val<T> {
        Val { id, ty: PhantomData }
    }
}

impl<T: Element> Clone for Val<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Element> Copy for Val<T> {}

impl<T: Element> From<T> for Val<T> {
    #[track_caller]
    fn from(x: T) -> Val<T> {
        Val::from_id(build(|b| b.constant(x.constant())))
    }
}

impl<T: Num> Val<T> {
    /// The constant 0, in generic code.
    #[track_caller]
    pub fn zero() -> Val<T> {
        T::ZERO.into()
    }

    /// The constant 1, in generic code.
    #[track_caller]
    pub fn one() -> Val<T> {
        T::ONE.into()
    }
}

/// What can stand where a `T` of a kernel is wanted: a run-time value or a host value.
#[diagnostic::on_unimplemented(
    message = "expected a `{T}` known when the kernel runs, found `{Self}`",
    note = "convert with `as` where the types differ"
)]
pub trait IntoVal<T: Element> {
    /// The run-time value; a host value becomes a constant.
    fn into_val(self) -> Val<T>;
}

impl<T: Element> IntoVal<T> for Val<T> {
    fn into_val(self) -> Val<T> {
        self
    }
}

impl<T: Element> IntoVal<T> for T {
    #[track_caller]
    fn into_val(self) -> Val<T> {
        self.into()
    }
}

/// What a host value in a kernel's source can be, by use: itself or, if it is a scalar, a run-time
/// value. Of what is no scalar (a unit struct, say) rustc knows that it is itself.
#[diagnostic::on_unimplemented(
    message = "a `{Self}` of the host cannot be used as `{R}` here",
    note = "convert with `as`"
)]
pub trait HostAs<R> {
    /// The value.
    fn host_as(self) -> R;
}

impl<H> HostAs<H> for H {
    fn host_as(self) -> H {
        self
    }
}

impl<H: Element> HostAs<Val<H>> for H {
    #[track_caller]
    fn host_as(self) -> Val<H> {
        self.into()
    }
}

/// Zero, `false`: as on the host.
impl<T: Element + Default> Default for Val<T> {
    #[track_caller]
    fn default() -> Val<T> {
        T::default().into()
    }
}

/// What an integer literal can be.
#[diagnostic::on_unimplemented(
    message = "an integer literal cannot be a `{Self}`",
    note = "write a float literal (`1.0`) for floats, `T::lit(1.0)` for a generic float"
)]
pub trait FromIntLit {
    /// The literal.
    fn from_int_lit(x: i128) -> Self;
}

/// What a float literal can be.
#[diagnostic::on_unimplemented(
    message = "a float literal cannot be a `{Self}`",
    note = "in generic code write `T::lit(0.5)`"
)]
pub trait FromFloatLit {
    /// The literal.
    fn from_float_lit(x: f64) -> Self;
}

/// What a literal is in its type, unless the type lacks it: rustc does not know the type yet when it
/// looks for such.
trait Literal<L> {
    /// Whether nothing was lost.
    fn holds(self, literal: L) -> bool;
}

#[track_caller]
fn in_range<T: Literal<L> + Element, L: Copy + std::fmt::Display>(x: T, literal: L) -> T {
    if !x.holds(literal) {
        super::stage::fail(format!("the literal {literal} is out of range for `{}`", T::TYPE));
    }
    x
}

macro_rules! literals {
    ($trait:ident $method:ident from $lit:ty: $($ty:ty),*; $holds:expr) => {$(
        impl Literal<$lit> for $ty {
            fn holds(self, literal: $lit) -> bool {
                let holds: fn($lit, $lit) -> bool = $holds;
                holds(self as $lit, literal)
            }
        }
        impl $trait for $ty {
            #[track_caller]
            fn $method(x: $lit) -> $ty {
                in_range(x as $ty, x)
            }
        }
        impl $trait for Val<$ty> {
            #[track_caller]
            fn $method(x: $lit) -> Val<$ty> {
                in_range(x as $ty, x).into()
            }
        }
    )*};
}

literals!(FromIntLit from_int_lit from i128: i8, i16, i32, i64, isize, u8, u16, u32, u64, usize; |x, literal| x == literal);
literals!(FromFloatLit from_float_lit from f64: f32, f64; |x, _| x.is_finite());

/// What can be stored where an `S` is: an `S`, or a host number of which `S` is the run-time type.
#[diagnostic::on_unimplemented(
    message = "expected `{S}`, found `{Self}`",
    note = "convert with `as` where the types differ"
)]
pub trait StoredAs<S> {
    /// The run-time value.
    fn stored(self) -> S;
}

#[diagnostic::do_not_recommend]
impl<S: super::Staged> StoredAs<S> for S {
    fn stored(self) -> S {
        self
    }
}

/// What the variable that a host value initialises holds: host numbers become run-time values.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the value of a run-time variable",
    note = "`let mut` declares a run-time variable: of scalars, arrays, tuples, and structs and enums \
            with `#[derive(KernelValue)]`",
    note = "mark a variable of the host with `#[comptime] let mut`"
)]
pub trait IntoStaged {
    /// What the variable holds.
    type Staged: super::Staged;

    /// The initial value.
    fn into_staged(self) -> Self::Staged;
}

#[diagnostic::do_not_recommend]
impl<S: super::Staged> IntoStaged for S {
    type Staged = S;
    fn into_staged(self) -> S {
        self
    }
}

/// Arrays of host numbers: tables.
macro_rules! host_arrays {
    ($([$($n:ident),*]: $from:ty => $to:ty;)*) => {$(
        #[diagnostic::do_not_recommend]
        impl<$(const $n: usize),*> IntoStaged for $from {
            type Staged = $to;
            #[track_caller]
            fn into_staged(self) -> $to {
                std::array::from_fn(|i| self[i].into_staged())
            }
        }

        #[diagnostic::do_not_recommend]
        impl<$(const $n: usize),*> StoredAs<$to> for $from {
            #[track_caller]
            fn stored(self) -> $to {
                self.into_staged()
            }
        }
    )*};
}

macro_rules! host_initialisers {
    ($($ty:ty),*) => {$(
        impl IntoStaged for $ty {
            type Staged = Val<$ty>;
            #[track_caller]
            fn into_staged(self) -> Val<$ty> {
                self.into()
            }
        }

        host_arrays! {
            [N]: [$ty; N] => [Val<$ty>; N];
            [N, M]: [[$ty; M]; N] => [[Val<$ty>; M]; N];
            [N, M, L]: [[[$ty; L]; M]; N] => [[[Val<$ty>; L]; M]; N];
        }

        #[diagnostic::do_not_recommend]
        impl StoredAs<Val<$ty>> for $ty {
            #[track_caller]
            fn stored(self) -> Val<$ty> {
                self.into()
            }
        }
    )*};
}

for_each_element!(host_initialisers);
