//! Comparisons and short-circuit logic. Rust's operators for these cannot return a `Val<bool>`, so
//! the macro calls these functions instead.

use kernelsmith_ir::Opcode;

use super::control::Condition;
use super::element::{Comparable, Element, Num};
use super::option::RunOption;
use super::stage::{build, fail};
use super::staged::Staged;
use super::val::Val;

/// Types that kernels can compare: `Out` is `bool` between host values, else `Val<bool>`.
#[diagnostic::on_unimplemented(
    message = "kernels cannot compare `{Self}` with `{Rhs}`",
    note = "both sides must have one number type; convert with `as`"
)]
pub trait Compare<Rhs> {
    /// `bool` or `Val<bool>`.
    type Out: Condition;
    /// Applies a comparison.
    fn compare(self, op: Opcode, rhs: Rhs) -> Self::Out;
}

impl<T: Element + Comparable> Compare<Val<T>> for Val<T> {
    type Out = Val<bool>;
    #[track_caller]
    fn compare(self, op: Opcode, rhs: Val<T>) -> Val<bool> {
        Val::from_id(build(|b| b.compare(op, self.id, rhs.id)))
    }
}

// For all types at once, so that a literal has the type of what it is compared with, and be it that
// of another literal.
impl<T: Element + Comparable> Compare<T> for Val<T> {
    type Out = Val<bool>;
    #[track_caller]
    fn compare(self, op: Opcode, rhs: T) -> Val<bool> {
        self.compare(op, Val::from(rhs))
    }
}

/// References compare by what they refer to.
impl<A: Compare<B> + Copy, B: Copy> Compare<&B> for &A {
    type Out = A::Out;
    #[track_caller]
    fn compare(self, op: Opcode, rhs: &B) -> A::Out {
        (*self).compare(op, *rhs)
    }
}

/// A comparison of host values.
pub fn compare_host<T: PartialOrd>(op: Opcode, a: &T, b: &T) -> bool {
    match op {
        Opcode::Eq => a == b,
        Opcode::Ne => a != b,
        Opcode::Lt => a < b,
        Opcode::Le => a <= b,
        Opcode::Gt => a > b,
        _ => a >= b,
    }
}

macro_rules! host {
    ($($ty:ty),*) => {$(
        impl Compare<Val<$ty>> for $ty {
            type Out = Val<bool>;
            #[track_caller]
            fn compare(self, op: Opcode, rhs: Val<$ty>) -> Val<bool> {
                Val::from(self).compare(op, rhs)
            }
        }

        impl Compare<$ty> for $ty {
            type Out = bool;
            fn compare(self, op: Opcode, rhs: $ty) -> bool {
                compare_host(op, &self, &rhs)
            }
        }
    )*};
}

host!(bool, i8, i16, i32, i64, isize, u8, u16, u32, u64, usize, half::f16, half::bf16, f32, f64);

macro_rules! functions {
    ($($name:ident $op:ident $text:literal;)*) => {$(
        #[doc = concat!("`a ", $text, " b`.")]
        #[track_caller]
        pub fn $name<A: Compare<B>, B>(a: A, b: B) -> A::Out {
            a.compare(Opcode::$op, b)
        }
    )*};
}

functions! {
    eq Eq "==";
    ne Ne "!=";
    lt Lt "<";
    le Le "<=";
    gt Gt ">";
    ge Ge ">=";
}

/// What an operator says of two values that are equal or not.
#[track_caller]
pub fn equality(op: Opcode, equal: Val<bool>) -> Val<bool> {
    match op {
        Opcode::Eq => equal,
        Opcode::Ne => !equal,
        _ => fail("values of this type are compared by `==` and `!=` only"),
    }
}

/// The left side of `&&` and `||`.
#[diagnostic::on_unimplemented(
    message = "`&&` and `||` are for conditions (`bool`), not `{Self}`",
    note = "compare numbers explicitly, as in `x != 0`"
)]
pub trait Logic<Rhs> {
    /// `bool` between host values, else `Val<bool>`.
    type Out: Condition;
    /// `self && rhs()`, evaluating `rhs` only where `self` holds.
    fn and(self, rhs: impl FnOnce() -> Rhs) -> Self::Out;
    /// `self || rhs()`, evaluating `rhs` only where `self` does not hold.
    fn or(self, rhs: impl FnOnce() -> Rhs) -> Self::Out;
}

impl Logic<bool> for bool {
    type Out = bool;
    fn and(self, rhs: impl FnOnce() -> bool) -> bool {
        self && rhs()
    }
    fn or(self, rhs: impl FnOnce() -> bool) -> bool {
        self || rhs()
    }
}

impl Logic<Val<bool>> for bool {
    type Out = Val<bool>;
    #[track_caller]
    fn and(self, rhs: impl FnOnce() -> Val<bool>) -> Val<bool> {
        if self { rhs() } else { false.into() }
    }
    #[track_caller]
    fn or(self, rhs: impl FnOnce() -> Val<bool>) -> Val<bool> {
        if self { true.into() } else { rhs() }
    }
}

impl<R: Into<Val<bool>>> Logic<R> for Val<bool> {
    type Out = Val<bool>;
    #[track_caller]
    fn and(self, rhs: impl FnOnce() -> R) -> Val<bool> {
        let flow = self.begin();
        let merge = flow.merge::<Val<bool>>();
        if flow.then() {
            merge.put(rhs().into());
        }
        if flow.otherwise() {
            merge.put(false.into());
        }
        flow.end();
        merge.take()
    }
    #[track_caller]
    fn or(self, rhs: impl FnOnce() -> R) -> Val<bool> {
        let flow = self.begin();
        let merge = flow.merge::<Val<bool>>();
        if flow.then() {
            merge.put(true.into());
        }
        if flow.otherwise() {
            merge.put(rhs().into());
        }
        flow.end();
        merge.take()
    }
}

/// `a && b`.
#[track_caller]
pub fn and<A: Logic<B>, B>(a: A, b: impl FnOnce() -> B) -> A::Out {
    a.and(b)
}

/// `a || b`.
#[track_caller]
pub fn or<A: Logic<B>, B>(a: A, b: impl FnOnce() -> B) -> A::Out {
    a.or(b)
}

impl Val<bool> {
    /// `Some` of what a function gives where this holds, and it is called only there; else `None`.
    #[track_caller]
    pub fn then<S: Staged>(self, value: impl FnOnce() -> S) -> RunOption<S> {
        RunOption::some(()).filter(|()| self).map(|()| value())
    }

    /// `Some` of a value where this holds, else `None`.
    #[track_caller]
    pub fn then_some<S: Staged>(self, value: S) -> RunOption<S> {
        RunOption::when(self, value)
    }
}

impl<T: Num> Val<T> {
    /// The one of two values that a condition picks; both are evaluated.
    #[track_caller]
    pub fn select<S: Staged>(condition: Val<bool>, yes: S, no: S) -> S {
        super::control::select(condition, yes, no)
    }
}
