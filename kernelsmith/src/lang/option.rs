//! Options: of the host, decided while staging, and run-time ones, as `checked_add` gives.

use std::cell::RefCell;

use kernelsmith_ir::Opcode;

use super::compare::Compare;
use super::control::{Condition, HostIf, HostMerge, RunIf, RunMerge, While};
use super::element::Element;
use super::place::Place;
use super::stage::fail;
use super::staged::{Staged, next, zeros};
use super::val::{IntoStaged, StoredAs, Val};

/// What `if let Some(x) = ..`, `let Some(x) = .. else` and `match` with `Some(x)` and `None` take:
/// options of the host and run-time ones.
#[diagnostic::on_unimplemented(
    message = "expected an option, found `{Self}`",
    note = "`Some(x)` matches `Option`s of the host and `RunOption`s, which kernels compute"
)]
pub trait OptionLike {
    /// What is in the option.
    type Item;
    /// The branches on it.
    type Flow;
    /// Begins the branches.
    fn begin(self) -> Self::Flow;
    /// The head of a `while let Some(x) = ..`: what is in the option, if the body is to be staged
    /// (again).
    fn test(self, state: &mut While) -> Option<Self::Item>;
}

/// Branches on an option of the host: one of them is staged.
pub struct HostOption<T> {
    value: RefCell<Option<T>>,
    is_some: HostIf,
}

impl<T> HostOption<T> {
    /// What is in the option, if it is there.
    pub fn some(&self) -> Option<T> {
        self.value.borrow_mut().take()
    }

    /// Whether the option is empty.
    pub fn otherwise(&self) -> bool {
        self.is_some.otherwise()
    }

    /// Ends the branches.
    pub fn end(&self) {}

    /// Collects the branches' value.
    pub fn merge<R>(&self) -> HostMerge<R> {
        self.is_some.merge()
    }
}

impl<T> HostOption<T> {
    fn new(value: Option<T>) -> HostOption<T> {
        let is_some = value.is_some().begin();
        HostOption { value: RefCell::new(value), is_some }
    }
}

/// The head of a `while let` on an option of the host.
#[track_caller]
fn test_host<T>(value: Option<T>, state: &mut While) -> Option<T> {
    if state.test(value.is_some()) { value } else { None }
}

impl<T> OptionLike for Option<T> {
    type Item = T;
    type Flow = HostOption<T>;
    fn begin(self) -> HostOption<T> {
        HostOption::new(self)
    }
    #[track_caller]
    fn test(self, state: &mut While) -> Option<T> {
        test_host(self, state)
    }
}

impl<'a, T> OptionLike for &'a Option<T> {
    type Item = &'a T;
    type Flow = HostOption<&'a T>;
    fn begin(self) -> HostOption<&'a T> {
        HostOption::new(self.as_ref())
    }
    #[track_caller]
    fn test(self, state: &mut While) -> Option<&'a T> {
        test_host(self.as_ref(), state)
    }
}

impl<'a, T> OptionLike for &'a mut Option<T> {
    type Item = &'a mut T;
    type Flow = HostOption<&'a mut T>;
    fn begin(self) -> HostOption<&'a mut T> {
        HostOption::new(self.as_mut())
    }
    #[track_caller]
    fn test(self, state: &mut While) -> Option<&'a mut T> {
        test_host(self.as_mut(), state)
    }
}

/// An option of which only the running kernel knows whether it is empty.
#[derive(Clone, Copy)]
pub struct RunOption<S: Staged> {
    some: Val<bool>,
    value: S,
}

/// What can stand where an option of the running kernel is wanted: one of the host too, whose value
/// is then always there or never.
#[diagnostic::on_unimplemented(
    message = "expected an option of `{S}`, found `{Self}`",
    note = "wrap the value as `Some(..)`"
)]
pub trait IntoOption<S: Staged> {
    /// The option.
    fn into_option(self) -> RunOption<S>;
}

impl<S: Staged> IntoOption<S> for RunOption<S> {
    fn into_option(self) -> RunOption<S> {
        self
    }
}

impl<S: Staged> IntoOption<S> for Option<S> {
    #[track_caller]
    fn into_option(self) -> RunOption<S> {
        match self {
            Some(value) => RunOption::some(value),
            None => RunOption::none(),
        }
    }
}

impl<S: Staged> IntoStaged for Option<S> {
    type Staged = RunOption<S>;
    #[track_caller]
    fn into_staged(self) -> RunOption<S> {
        self.into_option()
    }
}

#[diagnostic::do_not_recommend]
impl<S: Staged> StoredAs<RunOption<S>> for Option<S> {
    #[track_caller]
    fn stored(self) -> RunOption<S> {
        self.into_option()
    }
}

impl<S: Staged> Default for RunOption<S> {
    #[track_caller]
    fn default() -> RunOption<S> {
        RunOption::none()
    }
}

impl<S: Staged> super::element::InKernel for RunOption<S> {
    type Type = RunOption<S>;
}

/// What patterns with `Some(..)` ask of an option, of the host or not.
pub trait OptionParts {
    /// What is in it.
    type Item;
    /// `bool` or `Val<bool>`.
    type Flag: Condition;
    /// Whether there is something in it.
    fn is_some(&self) -> Self::Flag;
    /// What is in it; asked only where something is.
    fn inside(&self) -> Self::Item;
}

impl<S: Staged> OptionParts for RunOption<S> {
    type Item = S;
    type Flag = Val<bool>;
    fn is_some(&self) -> Val<bool> {
        self.some
    }
    fn inside(&self) -> S {
        self.value.clone()
    }
}

/// A pattern over several options is one condition, which only the running kernel knows if one of
/// them is its own: then both ways are staged.
const ABSENT: &str = "an option of the host that is `None` here is matched together with one that \
                      only the running kernel knows: ask for the host's first, in an `if let` of its \
                      own around the other";

impl<T: Clone> OptionParts for Option<T> {
    type Item = T;
    type Flag = bool;
    fn is_some(&self) -> bool {
        Option::is_some(self)
    }
    #[track_caller]
    fn inside(&self) -> T {
        match self {
            Some(value) => value.clone(),
            None => fail(ABSENT),
        }
    }
}

impl<'a, T> OptionParts for &'a Option<T> {
    type Item = &'a T;
    type Flag = bool;
    fn is_some(&self) -> bool {
        Option::is_some(self)
    }
    #[track_caller]
    fn inside(&self) -> &'a T {
        match self {
            Some(value) => value,
            None => fail(ABSENT),
        }
    }
}

/// Options compare as in Rust: `None` is less than any value.
impl<T: Element> Compare<RunOption<Val<T>>> for RunOption<Val<T>>
where
    Val<T>: Compare<Val<T>, Out = Val<bool>>,
{
    type Out = Val<bool>;
    #[track_caller]
    fn compare(self, op: Opcode, other: RunOption<Val<T>>) -> Val<bool> {
        let both = self.some & other.some;
        let of_values = both & self.value.compare(op, other.value);
        of_values | (!both & self.some.compare(op, other.some))
    }
}

impl<T: Element> Compare<Option<Val<T>>> for RunOption<Val<T>>
where
    Val<T>: Compare<Val<T>, Out = Val<bool>>,
{
    type Out = Val<bool>;
    #[track_caller]
    fn compare(self, op: Opcode, other: Option<Val<T>>) -> Val<bool> {
        self.compare(op, other.into_option())
    }
}

impl<T: Element> Compare<RunOption<Val<T>>> for Option<Val<T>>
where
    Val<T>: Compare<Val<T>, Out = Val<bool>>,
{
    type Out = Val<bool>;
    #[track_caller]
    fn compare(self, op: Opcode, other: RunOption<Val<T>>) -> Val<bool> {
        self.into_option().compare(op, other)
    }
}

/// Branches on a run-time option: both are staged.
pub struct RunOptionFlow<S: Staged> {
    value: S,
    branches: RunIf,
}

impl<S: Staged> RunOptionFlow<S> {
    /// Opens the branch in which the value is there.
    #[track_caller]
    pub fn some(&self) -> Option<S> {
        self.branches.then().then(|| self.value.clone())
    }

    /// Opens the other branch.
    #[track_caller]
    pub fn otherwise(&self) -> bool {
        self.branches.otherwise()
    }

    /// Ends the branches.
    #[track_caller]
    pub fn end(&self) {
        self.branches.end();
    }

    /// Collects the branches' values.
    pub fn merge<R: Staged>(&self) -> RunMerge<R> {
        self.branches.merge()
    }
}

impl<S: Staged> OptionLike for RunOption<S> {
    type Item = S;
    type Flow = RunOptionFlow<S>;
    fn begin(self) -> RunOptionFlow<S> {
        RunOptionFlow { value: self.value, branches: self.some.begin() }
    }
    #[track_caller]
    fn test(self, state: &mut While) -> Option<S> {
        state.test(self.some).then_some(self.value)
    }
}

impl<S: Staged> RunOption<S> {
    /// `Some(value)` where a condition holds, else `None`.
    pub fn when(some: Val<bool>, value: S) -> RunOption<S> {
        RunOption { some, value }
    }

    /// `Some(value)`.
    #[track_caller]
    pub fn some(value: S) -> RunOption<S> {
        RunOption::when(true.into(), value)
    }

    /// `None`.
    #[track_caller]
    pub fn none() -> RunOption<S> {
        RunOption { some: false.into(), value: zeros() }
    }

    /// Whether there is a value.
    pub fn is_some(&self) -> Val<bool> {
        self.some
    }

    /// Whether there is none.
    #[track_caller]
    pub fn is_none(&self) -> Val<bool> {
        !self.some
    }

    /// What is in the option, or anything where it is empty.
    pub(crate) fn value(&self) -> S {
        self.value.clone()
    }

    /// The value, or another.
    #[track_caller]
    pub fn unwrap_or(self, other: S) -> S {
        super::control::select(self.some, self.value, other)
    }

    /// The value, or what a function gives, called only where there is none.
    #[track_caller]
    pub fn unwrap_or_else(self, other: impl FnOnce() -> S) -> S {
        let (flow, merge) = (self.some.begin(), RunMerge::<S>::default());
        if flow.then() {
            merge.put(self.value);
        }
        if flow.otherwise() {
            merge.put(other());
        }
        flow.end();
        merge.take()
    }

    /// The value, or the type's zero.
    #[track_caller]
    pub fn unwrap_or_default(self) -> S {
        self.unwrap_or(zeros())
    }

    /// The value, which must be there: a check of every thread that gets here.
    #[track_caller]
    pub fn unwrap(self) -> S {
        self.expect("called `unwrap` on a `None` value")
    }

    /// The value, which must be there: a check with a message of your own.
    #[track_caller]
    pub fn expect(self, message: &str) -> S {
        Condition::assert(self.some, message);
        self.value
    }

    /// Whether there is a value, and a condition holds for it.
    #[track_caller]
    pub fn is_some_and(self, holds: impl FnOnce(S) -> Val<bool>) -> Val<bool> {
        super::compare::and(self.some, || holds(self.value))
    }

    /// Whether there is no value, or a condition holds for it.
    #[track_caller]
    pub fn is_none_or(self, holds: impl FnOnce(S) -> Val<bool>) -> Val<bool> {
        super::compare::or(!self.some, || holds(self.value))
    }

    /// The option if a condition holds for its value, else `None`.
    #[track_caller]
    pub fn filter(self, holds: impl FnOnce(&S) -> Val<bool>) -> RunOption<S> {
        let some = super::compare::and(self.some, || holds(&self.value));
        RunOption { some, value: self.value }
    }

    /// What a function makes of the value, or another value.
    #[track_caller]
    pub fn map_or<R: Staged>(self, other: R, make: impl FnOnce(S) -> R) -> R {
        self.map_or_else(|| other, make)
    }

    /// What a function makes of the value, or what another gives.
    #[track_caller]
    pub fn map_or_else<R: Staged>(self, other: impl FnOnce() -> R, make: impl FnOnce(S) -> R) -> R {
        self.map(make).unwrap_or_else(other)
    }

    /// Both values, if both are there.
    #[track_caller]
    pub fn zip<R: Staged>(self, other: impl IntoOption<R>) -> RunOption<(S, R)> {
        let other = other.into_option();
        RunOption { some: self.some & other.some, value: (self.value, other.value) }
    }

    /// The option of which there is exactly one, if so.
    #[track_caller]
    pub fn xor(self, other: impl IntoOption<S>) -> RunOption<S> {
        let other = other.into_option();
        let value = super::control::select(self.some, self.value, other.value);
        RunOption { some: self.some ^ other.some, value }
    }

    /// Leaves `None`, and gives what was there.
    #[track_caller]
    pub fn take(&mut self) -> RunOption<S> {
        std::mem::take(self)
    }

    /// Leaves a value, and gives what was there.
    #[track_caller]
    pub fn replace(&mut self, value: S) -> RunOption<S> {
        std::mem::replace(self, RunOption::some(value))
    }

    /// What a function makes of the value, called only where there is one.
    #[track_caller]
    pub fn map<R: Staged>(self, make: impl FnOnce(S) -> R) -> RunOption<R> {
        self.and_then(|value| RunOption::some(make(value)))
    }

    /// The option that a function makes of the value, called only where there is one.
    #[track_caller]
    pub fn and_then<R: Staged, O: IntoOption<R>>(self, make: impl FnOnce(S) -> O) -> RunOption<R> {
        let (flow, merge) = (self.some.begin(), RunMerge::<RunOption<R>>::default());
        if flow.then() {
            merge.put(make(self.value).into_option());
        }
        if flow.otherwise() {
            merge.put(RunOption::none());
        }
        flow.end();
        merge.take()
    }

    /// This option if it has a value, else another.
    #[track_caller]
    pub fn or(self, other: impl IntoOption<S>) -> RunOption<S> {
        super::control::select(self.some, self, other.into_option())
    }

    /// This option if it has a value, else what a function gives, called only then.
    #[track_caller]
    pub fn or_else<O: IntoOption<S>>(self, other: impl FnOnce() -> O) -> RunOption<S> {
        let (flow, merge) = (self.some.begin(), RunMerge::<RunOption<S>>::default());
        if flow.then() {
            merge.put(self);
        }
        if flow.otherwise() {
            merge.put(other().into_option());
        }
        flow.end();
        merge.take()
    }
}

impl<S: Staged + 'static> RunOption<&S> {
    /// The value itself, rather than a reference.
    pub fn copied(self) -> RunOption<S> {
        RunOption { some: self.some, value: self.value.clone() }
    }

    /// The value itself, rather than a reference.
    pub fn cloned(self) -> RunOption<S> {
        self.copied()
    }
}

impl<S: Staged> Staged for RunOption<S> {
    const LEAVES: usize = 1 + S::LEAVES;
    type Fields = ();

    fn types(out: &mut Vec<kernelsmith_ir::Type>) {
        <Val<bool>>::types(out);
        S::types(out);
    }
    fn flatten(&self, out: &mut Vec<kernelsmith_ir::Value>) {
        self.some.flatten(out);
        self.value.flatten(out);
    }
    fn unflatten(leaves: &mut impl Iterator<Item = kernelsmith_ir::Value>) -> Self {
        RunOption { some: Val::from_id(next(leaves)), value: S::unflatten(leaves) }
    }
    fn fields(_: Place<Self>) {}
}
