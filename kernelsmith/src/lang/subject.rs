//! What a `match` looks at: whether it is a variant, whether all values have an arm, its elements.

use super::compare::eq;
use super::element::{Comparable, Element, for_each_element};
use super::option::RunOption;
use super::stage::fail;
use super::staged::Staged;
use super::val::Val;

/// What a `match` with variants and constants looks at.
pub struct Subject<'a, S>(pub &'a S);

/// A subject of the host.
pub trait HostSubject<S> {
    /// Whether it is what a pattern says.
    fn is(&self, pattern: impl FnOnce(&S) -> bool, value: impl FnOnce() -> S) -> bool;
    /// Takes a function that has a case for every value, so that rustc finds those forgotten.
    fn all(&self, cases: impl FnOnce(&S));
}

// Of a reference, so that rustc asks `RunSubject` first.
impl<S> HostSubject<S> for &Subject<'_, S> {
    fn is(&self, pattern: impl FnOnce(&S) -> bool, _: impl FnOnce() -> S) -> bool {
        pattern(self.0)
    }
    fn all(&self, _: impl FnOnce(&S)) {}
}

/// A subject that is, or has in it, what only the running kernel knows.
pub trait RunSubject<S: OnHost> {
    /// Takes a function that has a case for every value, so that rustc finds those forgotten.
    fn all(&self, cases: impl FnOnce(&S::Host));
}

impl<S: OnHost> RunSubject<S> for Subject<'_, S> {
    fn all(&self, _: impl FnOnce(&S::Host)) {}
}

/// A run-time subject: these methods come before those of the trait.
impl<T: Element + Comparable> Subject<'_, Val<T>> {
    /// Whether it is the value that a pattern names.
    #[track_caller]
    pub fn is(&self, _: impl FnOnce(&T) -> bool, value: impl FnOnce() -> T) -> Val<bool> {
        eq(*self.0, Val::from(value()))
    }
}

impl<S: Staged> Subject<'_, RunOption<S>> {
    /// Whether it is `None`, the only option without a value in it.
    #[track_caller]
    pub fn is(
        &self,
        _: impl FnOnce(&Option<S>) -> bool,
        _: impl FnOnce() -> Option<S>,
    ) -> Val<bool> {
        self.0.is_none()
    }
}

/// What values of a type are on the host, as patterns name them.
pub trait OnHost {
    /// The type on the host.
    type Host;
}

impl<T: Element> OnHost for Val<T> {
    type Host = T;
}

impl<S: Staged + OnHost> OnHost for RunOption<S> {
    type Host = Option<S::Host>;
}

impl<S: OnHost> OnHost for Option<S> {
    type Host = Option<S::Host>;
}

impl<S: OnHost, const N: usize> OnHost for [S; N] {
    type Host = [S::Host; N];
}

macro_rules! on_host {
    ($($ty:ty),*) => {
        $(impl OnHost for $ty {
            type Host = $ty;
        })*
    };
}

for_each_element!(on_host);

macro_rules! tuples_on_host {
    ($($($name:ident)*;)*) => {
        $(impl<$($name: OnHost),*> OnHost for ($($name,)*) {
            type Host = ($($name::Host,)*);
        })*
    };
}

tuples_on_host!(; A; A B; A B C; A B C D; A B C D E; A B C D E F; A B C D E F G; A B C D E F G H;);

/// The guard of an arm that only the host can match.
#[diagnostic::on_unimplemented(
    message = "this guard is known only when the kernel runs, and its pattern is matched before",
    note = "write an `if` within the arm"
)]
pub trait HostGuard {
    /// Whether it holds.
    fn holds(self) -> bool;
}

impl HostGuard for bool {
    fn holds(self) -> bool {
        self
    }
}

/// What patterns with `..` take out of an array.
#[diagnostic::on_unimplemented(
    message = "patterns with `..` are for arrays in kernels, not for `{Self}`",
    note = "take elements by index"
)]
pub trait ArrayParts {
    /// An element.
    type Item;
    /// The element that is `behind` from the end; the last is 1.
    fn at_end(&self, behind: usize) -> Self::Item;
    /// The elements from `first` on but the last `behind`.
    fn between(&self, first: usize, behind: usize) -> Vec<Self::Item>;
}

impl<S: Clone, const N: usize> ArrayParts for [S; N] {
    type Item = S;
    #[track_caller]
    fn at_end(&self, behind: usize) -> S {
        match N.checked_sub(behind).and_then(|i| self.get(i)) {
            Some(x) => x.clone(),
            None => fail(format!("a pattern of {behind} elements for an array of {N}")),
        }
    }
    #[track_caller]
    fn between(&self, first: usize, behind: usize) -> Vec<S> {
        match N.checked_sub(behind).and_then(|end| self.get(first..end)) {
            Some(part) => part.to_vec(),
            None => fail(format!("a pattern of {} elements for an array of {N}", first + behind)),
        }
    }
}
