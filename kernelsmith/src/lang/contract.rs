//! Launch contracts: `#[kernel(requires = c.len() >= m * n)]`.
//!
//! The macro writes each side of a requirement as sums and products of [`Extent`]s, here of
//! polynomials, so that one description serves the launch's test and the passes' proofs.

use std::ops::{Add, Mul, Sub};

use kernelsmith_ir::Value;
use kernelsmith_ir::contract::{Requirement, Term};

use super::element::Int;
use super::stage::{build, fail};
use super::val::Val;

/// A side of a requirement: a sum of products of parameters.
#[derive(Clone, Debug)]
pub struct Extent(Vec<Term>);

/// What a requirement can speak of: integer parameters, lengths, and integers of the host.
#[diagnostic::on_unimplemented(
    message = "a contract cannot speak of `{Self}`",
    note = "it speaks of integer parameters, `x.len()`, `view.shape(axis)`, `view.stride(axis)`, and integers of the host"
)]
pub trait IntoExtent {
    /// As a sum of one term.
    fn into_extent(self) -> Extent;
}

impl<T: Int> IntoExtent for Val<T> {
    fn into_extent(self) -> Extent {
        Extent(vec![Term { factor: 1, params: vec![self.id] }])
    }
}

macro_rules! host {
    ($($ty:ty),*) => {$(
        impl IntoExtent for $ty {
            #[track_caller]
            fn into_extent(self) -> Extent {
                match i64::try_from(self) {
                    Ok(factor) => Extent(vec![Term { factor, params: Vec::new() }]),
                    Err(_) => fail(format!("{self} is more than a contract can speak of")),
                }
            }
        }
    )*};
}

host!(i32, i64, u32, u64, usize);

/// 1 or 0: a requirement times a `bool` of the host is one that holds where the `bool` does.
impl IntoExtent for bool {
    #[track_caller]
    fn into_extent(self) -> Extent {
        i64::from(self).into_extent()
    }
}

/// A name, length or number in a requirement.
#[track_caller]
pub fn extent(of: impl IntoExtent) -> Extent {
    of.into_extent()
}

impl Add for Extent {
    type Output = Extent;
    fn add(mut self, other: Extent) -> Extent {
        self.0.extend(other.0);
        self
    }
}

impl Sub for Extent {
    type Output = Extent;
    #[track_caller]
    fn sub(self, other: Extent) -> Extent {
        self + extent(-1) * other
    }
}

impl Mul for Extent {
    type Output = Extent;
    #[track_caller]
    fn mul(self, other: Extent) -> Extent {
        let pairs = self.0.iter().flat_map(|a| other.0.iter().map(move |b| (a, b)));
        let product = |(a, b): (&Term, &Term)| match a.factor.checked_mul(b.factor) {
            Some(factor) => Term { factor, params: [&a.params[..], &b.params].concat() },
            None => fail("a factor is more than a contract can speak of"),
        };
        Extent(pairs.map(product).collect())
    }
}

/// How the sides of a requirement compare.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Comparison {
    /// `a >= b`.
    AtLeast,
    /// `a > b`.
    More,
    /// `a == b`.
    Equal,
}

/// Adds a requirement to the kernel's contract.
#[track_caller]
pub fn require(text: &str, a: Extent, compare: Comparison, b: Extent) {
    let sums = match compare {
        Comparison::AtLeast => vec![a - b],
        Comparison::More => vec![a - b - extent(1)],
        Comparison::Equal => vec![a.clone() - b.clone(), b - a],
    };
    for Extent(mut terms) in sums {
        // A product with a 0 of the host says nothing, and costs each launch its test.
        terms.retain(|term| term.factor != 0);
        if terms.is_empty() {
            continue;
        }
        let is_param = |v: &Value| build(|b| b.kernel().params.iter().any(|p| p.value == *v));
        if !terms.iter().flat_map(|t| &t.params).all(is_param) {
            fail(format!("`{text}` does not speak of parameters only"));
        }
        build(|b| {
            let requirement = Requirement { terms, text: text.to_owned(), loc: b.loc() };
            b.kernel_mut().requires.push(requirement);
        });
    }
}

/// Takes a condition for granted: passes remove the checks that it decides. Only an interpreter
/// tests it.
///
/// # Safety
/// The condition holds on every thread that gets here. If not, memory may be accessed out of bounds.
#[track_caller]
pub unsafe fn assume(condition: Val<bool>) {
    build(|b| b.check(condition.id, kernelsmith_ir::attr::CheckKind::Assumption, None));
}
