//! Rust's operators on values: run-time with run-time, run-time with host, host with run-time.

use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Neg, Not, Rem, Shl, Shr, Sub};

use kernelsmith_ir::attr::{CheckKind, Const};
use kernelsmith_ir::{Builder, Opcode, Scalar, Value};

use super::element::{Bits, Element, Int, Num, Signed};
use super::stage::build;
use super::val::Val;

/// Emits a binary operation, with the checks that integer division needs.
fn binary(b: &mut Builder, op: Opcode, x: Value, y: Value) -> Value {
    if matches!(op, Opcode::Div | Opcode::Rem) && b.kernel().ty(x).elem().is_int() {
        check_division(b, x, y);
    }
    b.same(op, &[x, y])
}

/// As Rust, in release mode too: a zero divisor and `MIN / -1` are errors.
fn check_division(b: &mut Builder, x: Value, y: Value) {
    let ty = b.kernel().ty(x).elem();
    let zero = b.constant(Const::int(ty, 0));
    let ok = b.compare(Opcode::Ne, y, zero);
    b.check(ok, CheckKind::DivZero, None);
    if ty.is_signed() {
        let min = b.constant(Const::int(ty, -(1i128 << (ty.bits() - 1))));
        let minus_one = b.constant(Const::int(ty, -1));
        let not_min = b.compare(Opcode::Ne, x, min);
        let not_minus_one = b.compare(Opcode::Ne, y, minus_one);
        let ok = b.same(Opcode::Or, &[not_min, not_minus_one]);
        b.check(ok, CheckKind::DivOverflow, None);
    }
}

macro_rules! binary {
    ($($trait:ident $method:ident $bound:ident: $($host:ty),*;)*) => {$(
        #[diagnostic::do_not_recommend]
        impl<T: $bound> $trait<Val<T>> for Val<T> {
            type Output = Val<T>;
            #[track_caller]
            fn $method(self, rhs: Val<T>) -> Val<T> {
                Val::from_id(build(|b| binary(b, Opcode::$trait, self.id, rhs.id)))
            }
        }

        #[diagnostic::do_not_recommend]
        impl<T: $bound> $trait<T> for Val<T> {
            type Output = Val<T>;
            #[track_caller]
            fn $method(self, rhs: T) -> Val<T> {
                Val::from_id(build(|b| {
                    let rhs = b.constant(rhs.constant());
                    binary(b, Opcode::$trait, self.id, rhs)
                }))
            }
        }

        $(
            #[diagnostic::do_not_recommend]
            impl $trait<Val<$host>> for $host {
                type Output = Val<$host>;
                #[track_caller]
                fn $method(self, rhs: Val<$host>) -> Val<$host> {
                    Val::from_id(build(|b| {
                        let lhs = b.constant(Element::constant(self));
                        binary(b, Opcode::$trait, lhs, rhs.id)
                    }))
                }
            }
        )*
    )*};
}

binary! {
    Add add Num: i8, i16, i32, i64, isize, u8, u16, u32, u64, usize, f32, f64;
    Sub sub Num: i8, i16, i32, i64, isize, u8, u16, u32, u64, usize, f32, f64;
    Mul mul Num: i8, i16, i32, i64, isize, u8, u16, u32, u64, usize, f32, f64;
    Div div Num: i8, i16, i32, i64, isize, u8, u16, u32, u64, usize, f32, f64;
    Rem rem Num: i8, i16, i32, i64, isize, u8, u16, u32, u64, usize, f32, f64;
}

macro_rules! bitwise {
    ($($trait:ident $method:ident $op:ident: $($host:ty),*;)*) => {$(
        #[diagnostic::do_not_recommend]
        impl<T: Bits> $trait<Val<T>> for Val<T> {
            type Output = Val<T>;
            #[track_caller]
            fn $method(self, rhs: Val<T>) -> Val<T> {
                Val::from_id(build(|b| b.same(Opcode::$op, &[self.id, rhs.id])))
            }
        }

        #[diagnostic::do_not_recommend]
        impl<T: Bits> $trait<T> for Val<T> {
            type Output = Val<T>;
            #[track_caller]
            fn $method(self, rhs: T) -> Val<T> {
                self.$method(Val::from(rhs))
            }
        }

        $(
            #[diagnostic::do_not_recommend]
            impl $trait<Val<$host>> for $host {
                type Output = Val<$host>;
                #[track_caller]
                fn $method(self, rhs: Val<$host>) -> Val<$host> {
                    Val::from(self).$method(rhs)
                }
            }
        )*
    )*};
}

bitwise! {
    BitAnd bitand And: bool, i8, i16, i32, i64, isize, u8, u16, u32, u64, usize;
    BitOr bitor Or: bool, i8, i16, i32, i64, isize, u8, u16, u32, u64, usize;
    BitXor bitxor Xor: bool, i8, i16, i32, i64, isize, u8, u16, u32, u64, usize;
}

/// A shift amount: any integer, taken modulo the width.
pub trait ShiftAmount {
    /// The amount modulo 2^32, of which the operation takes the low bits.
    fn amount(self) -> Val<u32>;
}

impl<T: Int> ShiftAmount for Val<T> {
    #[track_caller]
    fn amount(self) -> Val<u32> {
        Val::from_id(build(|b| b.cast(self.id, kernelsmith_ir::Scalar::U32)))
    }
}

macro_rules! shift_amounts {
    ($($ty:ty),*) => {$(
        impl ShiftAmount for $ty {
            #[track_caller]
            fn amount(self) -> Val<u32> {
                (self as u32).into()
            }
        }
    )*};
}

shift_amounts!(i32, u32, usize);

macro_rules! shifts {
    ($($trait:ident $method:ident: $($host:ty),*;)*) => {$(
        #[diagnostic::do_not_recommend]
        impl<T: Int, A: ShiftAmount> $trait<A> for Val<T> {
            type Output = Val<T>;
            #[track_caller]
            fn $method(self, amount: A) -> Val<T> {
                let amount = amount.amount();
                Val::from_id(build(|b| b.same(Opcode::$trait, &[self.id, amount.id])))
            }
        }

        $(
            #[diagnostic::do_not_recommend]
            impl<A: Int> $trait<Val<A>> for $host {
                type Output = Val<$host>;
                #[track_caller]
                fn $method(self, amount: Val<A>) -> Val<$host> {
                    Val::from(self).$method(amount)
                }
            }
        )*
    )*};
}

shifts! {
    Shl shl: i8, i16, i32, i64, isize, u8, u16, u32, u64, usize;
    Shr shr: i8, i16, i32, i64, isize, u8, u16, u32, u64, usize;
}

/// Operators on references, as `std` has them for numbers.
macro_rules! references {
    ($($trait:ident $method:ident $bound:ident: $($host:ty),*;)*) => {$(
        #[diagnostic::do_not_recommend]
        impl<T: $bound> $trait<&T> for Val<T> {
            type Output = Val<T>;
            #[track_caller]
            fn $method(self, rhs: &T) -> Val<T> {
                self.$method(*rhs)
            }
        }

        $(
            #[diagnostic::do_not_recommend]
            impl $trait<&Val<$host>> for $host {
                type Output = Val<$host>;
                #[track_caller]
                fn $method(self, rhs: &Val<$host>) -> Val<$host> {
                    self.$method(*rhs)
                }
            }

            #[diagnostic::do_not_recommend]
            impl $trait<Val<$host>> for &$host {
                type Output = Val<$host>;
                #[track_caller]
                fn $method(self, rhs: Val<$host>) -> Val<$host> {
                    (*self).$method(rhs)
                }
            }

            #[diagnostic::do_not_recommend]
            impl $trait<&Val<$host>> for &$host {
                type Output = Val<$host>;
                #[track_caller]
                fn $method(self, rhs: &Val<$host>) -> Val<$host> {
                    (*self).$method(*rhs)
                }
            }
        )*

        #[diagnostic::do_not_recommend]
        impl<T: $bound> $trait<&Val<T>> for Val<T> {
            type Output = Val<T>;
            #[track_caller]
            fn $method(self, rhs: &Val<T>) -> Val<T> {
                self.$method(*rhs)
            }
        }

        #[diagnostic::do_not_recommend]
        impl<T: $bound, R> $trait<R> for &Val<T>
        where
            Val<T>: $trait<R>,
        {
            type Output = <Val<T> as $trait<R>>::Output;
            #[track_caller]
            fn $method(self, rhs: R) -> Self::Output {
                (*self).$method(rhs)
            }
        }
    )*};
}

references! {
    Add add Num: i8, i16, i32, i64, isize, u8, u16, u32, u64, usize, f32, f64;
    Sub sub Num: i8, i16, i32, i64, isize, u8, u16, u32, u64, usize, f32, f64;
    Mul mul Num: i8, i16, i32, i64, isize, u8, u16, u32, u64, usize, f32, f64;
    Div div Num: i8, i16, i32, i64, isize, u8, u16, u32, u64, usize, f32, f64;
    Rem rem Num: i8, i16, i32, i64, isize, u8, u16, u32, u64, usize, f32, f64;
    BitAnd bitand Bits: bool, i8, i16, i32, i64, isize, u8, u16, u32, u64, usize;
    BitOr bitor Bits: bool, i8, i16, i32, i64, isize, u8, u16, u32, u64, usize;
    BitXor bitxor Bits: bool, i8, i16, i32, i64, isize, u8, u16, u32, u64, usize;
}

/// A literal before a run-time value of which too little is known for Rust's operators: `2 * n` with
/// `let mut n = 0`.
pub struct AfterLiteral<X>(pub X);

/// Operators of other types, as users define them.
pub trait UserOperators<X> {
    /// `left + x`.
    fn plus<L: Add<X>>(self, left: L) -> L::Output;
    /// `left - x`.
    fn minus<L: Sub<X>>(self, left: L) -> L::Output;
    /// `left * x`.
    fn times<L: Mul<X>>(self, left: L) -> L::Output;
    /// `left / x`.
    fn over<L: Div<X>>(self, left: L) -> L::Output;
    /// `left % x`.
    fn modulo<L: Rem<X>>(self, left: L) -> L::Output;
}

macro_rules! after_literal {
    ($($name:ident: $trait:ident $method:ident;)*) => {
        // These methods come before those of the trait.
        impl<T: Num> AfterLiteral<Val<T>> {
            $(#[doc = concat!("`left`, `", stringify!($method), "`, the value.")]
            #[track_caller]
            pub fn $name(self, left: T) -> Val<T> {
                Val::from(left).$method(self.0)
            })*
        }

        impl<X> UserOperators<X> for AfterLiteral<X> {
            $(#[track_caller]
            fn $name<L: $trait<X>>(self, left: L) -> L::Output {
                left.$method(self.0)
            })*
        }
    };
}

after_literal! {
    plus: Add add;
    minus: Sub sub;
    times: Mul mul;
    over: Div div;
    modulo: Rem rem;
}

impl<T: Signed> Neg for Val<T> {
    type Output = Val<T>;
    #[track_caller]
    fn neg(self) -> Val<T> {
        Val::from_id(build(|b| b.same(Opcode::Neg, &[self.id])))
    }
}

impl<T: Bits> Not for Val<T> {
    type Output = Val<T>;
    #[track_caller]
    fn not(self) -> Val<T> {
        Val::from_id(build(|b| b.same(Opcode::Not, &[self.id])))
    }
}

/// All items taken together while staging, from the first to the last.
///
/// As on the host, half floats are widened first and the result is rounded once.
#[track_caller]
fn reduce<T: Num>(items: impl Iterator<Item = Val<T>>, op: Opcode, empty: Const) -> Val<T> {
    let wide = empty.ty;
    let to = |x: Value, ty| if T::TYPE == wide { x } else { build(|b| b.cast(x, ty)) };
    let all = items.map(|x| to(x.id, wide)).reduce(|all, x| build(|b| b.same(op, &[all, x])));
    let all = all.unwrap_or_else(|| build(|b| b.constant(empty)));
    Val::from_id(to(all, T::TYPE))
}

/// As `reduce`, of what `give` hands over one by one, in a loop of the kernel perhaps.
#[track_caller]
pub(super) fn reduce_in_loop<T: Num>(
    op: Opcode,
    empty: Const,
    give: impl FnOnce(&mut dyn FnMut(Val<T>)),
) -> Val<T> {
    let wide = empty.ty;
    let to = |b: &mut Builder, x: Value, ty| if T::TYPE == wide { x } else { b.cast(x, ty) };
    let so_far = build(|b| {
        let so_far = b.var("reduced", wide.into());
        let empty = b.constant(empty);
        b.var_store(so_far, empty);
        so_far
    });
    give(&mut |x| {
        build(|b| {
            let (all, x) = (b.var_load(so_far), to(b, x.id, wide));
            let all = b.same(op, &[all, x]);
            b.var_store(so_far, all);
        });
    });
    Val::from_id(build(|b| {
        let all = b.var_load(so_far);
        to(b, all, T::TYPE)
    }))
}

/// What a reduction of no items is, of the type that `T` is reduced in.
pub(super) fn of_none<T: Num>(int: i128, float: f64) -> Const {
    match T::TYPE {
        Scalar::F16 | Scalar::BF16 => Const::float(Scalar::F32, float),
        ty if ty.is_float() => Const::float(ty, float),
        ty => Const::int(ty, int),
    }
}

macro_rules! reductions {
    ($($trait:ident $method:ident $op:ident $int:literal $float:literal;)*) => {$(
        /// Of an iterator that is run through while staging: an array's, say.
        impl<T: Num> std::iter::$trait for Val<T> {
            #[track_caller]
            fn $method<I: Iterator<Item = Val<T>>>(items: I) -> Val<T> {
                reduce(items, Opcode::$op, of_none::<T>($int, $float))
            }
        }

        impl<'a, T: Num> std::iter::$trait<&'a Val<T>> for Val<T> {
            #[track_caller]
            fn $method<I: Iterator<Item = &'a Val<T>>>(items: I) -> Val<T> {
                items.copied().$method()
            }
        }
    )*};
}

reductions! {
    // What `x + 0` leaves unchanged is all but -0; what `x + -0` leaves unchanged is all floats.
    Sum sum Add 0 -0.0;
    Product product Mul 1 1.0;
}
