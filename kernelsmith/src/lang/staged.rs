//! Types made of run-time scalars: what variables, branches and functions can hold.

use kernelsmith_ir::{Scalar, Type, Value};

use super::element::Element;
use super::place::Place;
use super::stage::{build, fail};
use super::val::Val;

/// A type that flattens to run-time scalars ("leaves"): `Val`, tuples, arrays, and structs that
/// derive `KernelValue`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the value of a run-time variable or branch",
    note = "values of kernels are scalars, arrays, tuples, and structs with `#[derive(KernelValue)]`",
    note = "an option that only the running kernel knows is a `RunOption`",
    note = "a variable of the host is marked with `#[comptime] let mut`"
)]
pub trait Staged: Clone {
    /// Number of leaves.
    const LEAVES: usize;

    /// Whether it is a number that Rust itself knows, on which `x[i] += y` takes `y` first.
    const PRIMITIVE: bool = false;

    /// The places of the fields of a struct or tuple held in a variable.
    type Fields;

    /// The types of the leaves, in order.
    fn types(out: &mut Vec<Type>);

    /// The leaves, in order.
    fn flatten(&self, out: &mut Vec<Value>);

    /// The value of these leaves.
    fn unflatten(leaves: &mut impl Iterator<Item = Value>) -> Self;

    /// The places of the fields.
    fn fields(place: Place<Self>) -> Self::Fields;
}

impl<T: Element> Staged for Val<T> {
    const LEAVES: usize = 1;
    const PRIMITIVE: bool = !matches!(T::TYPE, Scalar::F16 | Scalar::BF16);
    type Fields = ();

    fn types(out: &mut Vec<Type>) {
        out.push(Type::Scalar(T::TYPE));
    }

    fn flatten(&self, out: &mut Vec<Value>) {
        out.push(self.id);
    }

    fn unflatten(leaves: &mut impl Iterator<Item = Value>) -> Self {
        Val::from_id(next(leaves))
    }

    fn fields(_: Place<Self>) {}
}

/// What a reference refers to does not change while there is one.
impl<S: Staged + 'static> Staged for &S {
    const LEAVES: usize = S::LEAVES;
    type Fields = ();

    fn types(out: &mut Vec<Type>) {
        S::types(out);
    }

    fn flatten(&self, out: &mut Vec<Value>) {
        S::flatten(self, out);
    }

    fn unflatten(leaves: &mut impl Iterator<Item = Value>) -> Self {
        // Handles of values: a few bytes for each reference that kernels choose, never freed.
        Box::leak(Box::new(S::unflatten(leaves)))
    }

    fn fields(_: Place<Self>) {}
}

/// A type that is one value of the IR, `id`, besides what only rustc knows of it, `kind`.
macro_rules! one_leaf {
    ([$($generics:tt)*] $name:ty: $ty:expr) => {
        impl<$($generics)*> Clone for $name {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<$($generics)*> Copy for $name {}

        impl<$($generics)*> $crate::lang::staged::Staged for $name {
            const LEAVES: usize = 1;
            type Fields = ();

            fn types(out: &mut Vec<::kernelsmith_ir::Type>) {
                out.push($ty);
            }
            fn flatten(&self, out: &mut Vec<::kernelsmith_ir::Value>) {
                out.push(self.id);
            }
            fn unflatten(leaves: &mut impl Iterator<Item = ::kernelsmith_ir::Value>) -> Self {
                let id = $crate::lang::staged::next(leaves);
                Self { id, kind: ::std::marker::PhantomData }
            }
            fn fields(_: $crate::lang::place::Place<Self>) {}
        }
    };
}
pub(crate) use one_leaf;

/// The next leaf.
pub(crate) fn next(leaves: &mut impl Iterator<Item = Value>) -> Value {
    leaves.next().expect("as many leaves as LEAVES says")
}

impl<S: Staged, const N: usize> Staged for [S; N] {
    const LEAVES: usize = N * S::LEAVES;
    type Fields = ();

    fn types(out: &mut Vec<Type>) {
        for _ in 0..N {
            S::types(out);
        }
    }

    fn flatten(&self, out: &mut Vec<Value>) {
        for x in self {
            x.flatten(out);
        }
    }

    fn unflatten(leaves: &mut impl Iterator<Item = Value>) -> Self {
        std::array::from_fn(|_| S::unflatten(leaves))
    }

    fn fields(_: Place<Self>) {}
}

macro_rules! tuples {
    ($($($name:ident)*;)*) => {$(
        impl<$($name: Staged),*> Staged for ($($name,)*) {
            const LEAVES: usize = 0 $(+ $name::LEAVES)*;
            type Fields = ($(Place<$name>,)*);

            fn types(_out: &mut Vec<Type>) {
                $($name::types(_out);)*
            }

            #[allow(non_snake_case)]
            fn flatten(&self, _out: &mut Vec<Value>) {
                let ($($name,)*) = self;
                $($name.flatten(_out);)*
            }

            #[allow(clippy::unused_unit)]
            fn unflatten(_leaves: &mut impl Iterator<Item = Value>) -> Self {
                ($($name::unflatten(_leaves),)*)
            }

            #[allow(clippy::unused_unit, unused_assignments)]
            fn fields(_place: Place<Self>) -> Self::Fields {
                let mut _at = 0;
                ($({
                    let place = _place.part::<$name>(_at);
                    _at += $name::LEAVES;
                    place
                },)*)
            }
        }
    )*};
}

tuples! {
    ;
    A;
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
    A B C D E F G;
    A B C D E F G H;
}

/// A value for where no path gets to.
#[track_caller]
pub(crate) fn zeros<S: Staged>() -> S {
    let zeros: Vec<Value> = leaf_types::<S>().into_iter().map(zero).collect();
    S::unflatten(&mut zeros.into_iter())
}

#[track_caller]
fn zero(ty: Type) -> Value {
    if let Type::Ptr(..) = ty {
        fail("no path of this expression gives a value, and a slice has no other");
    }
    build(|b| {
        let zero = b.constant(kernelsmith_ir::attr::Const::new(ty.elem(), 0));
        match ty {
            Type::Vector(_, lanes) => {
                let lanes = vec![zero; lanes.into()];
                b.emit1(kernelsmith_ir::Opcode::VecMake, kernelsmith_ir::Attr::None, &lanes, ty)
            }
            _ => zero,
        }
    })
}

/// The types of the leaves of `S`.
pub(crate) fn leaf_types<S: Staged>() -> Vec<Type> {
    let mut types = Vec::with_capacity(S::LEAVES);
    S::types(&mut types);
    types
}

/// The leaves of a value.
pub(crate) fn leaves<S: Staged>(value: &S) -> Vec<Value> {
    let mut out = Vec::with_capacity(S::LEAVES);
    value.flatten(&mut out);
    out
}
