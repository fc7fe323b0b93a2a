//! Options: of the host, decided while staging, and run-time ones, as `checked_add` gives.

use std::cell::RefCell;

use super::control::{Condition, HostIf, HostMerge, RunIf, RunMerge, While};
use super::place::Place;
use super::staged::{Staged, next, zeros};
use super::val::Val;

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

    /// The option itself: `min` of an iterator over references gives the number.
    pub fn copied(self) -> RunOption<S> {
        self
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

    /// What a function makes of the value, called only where there is one.
    #[track_caller]
    pub fn map<R: Staged>(self, make: impl FnOnce(S) -> R) -> RunOption<R> {
        self.and_then(|value| RunOption::some(make(value)))
    }

    /// The option that a function makes of the value, called only where there is one.
    #[track_caller]
    pub fn and_then<R: Staged>(self, make: impl FnOnce(S) -> RunOption<R>) -> RunOption<R> {
        let (flow, merge) = (self.some.begin(), RunMerge::<RunOption<R>>::default());
        if flow.then() {
            merge.put(make(self.value));
        }
        if flow.otherwise() {
            merge.put(RunOption::none());
        }
        flow.end();
        merge.take()
    }

    /// This option if it has a value, else another.
    #[track_caller]
    pub fn or(self, other: RunOption<S>) -> RunOption<S> {
        super::control::select(self.some, self, other)
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
