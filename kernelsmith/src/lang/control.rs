//! Run-time and host control flow behind one face.
//!
//! The macro turns `if c { a } else { b }` into
//! `let f = c.begin(); if f.then() { a } if f.otherwise() { b } f.end();`. For a host `bool` one
//! branch runs; for a `Val<bool>` both do, each writing its operations into a region of the IR.

use std::cell::RefCell;

use kernelsmith_ir::{Label, Value};

use super::element::Element;
use super::option::{IntoOption, RunOption};
use super::place::Place;
use super::stage::{StagingError, build, fail, raise, undecided};
use super::staged::{Staged, leaves, zeros};
use super::val::{FromFloatLit, FromIntLit, HostAs, StoredAs, Val};

/// What an `if` or `while` can decide on.
#[diagnostic::on_unimplemented(
    message = "expected a condition (`bool`), found `{Self}`",
    note = "compare numbers explicitly, as in `x != 0`"
)]
pub trait Condition {
    /// The `if` on it.
    type If;
    /// Begins the `if`.
    fn begin(self) -> Self::If;
    /// The head of a `while` on it: whether to stage the body (again).
    fn test(self, state: &mut While) -> bool;
    /// `assert!`: checked by every thread that gets here; of the host, while staging.
    fn assert(self, message: &str);
    /// As `assert`, with a message that has values in it.
    fn assert_formatted(self, message: std::fmt::Arguments<'_>);
}

/// An `if` decided while staging.
pub struct HostIf(bool);

/// An `if` decided when the kernel runs.
pub struct RunIf(Value);

impl Condition for bool {
    type If = HostIf;

    fn begin(self) -> HostIf {
        HostIf(self)
    }

    #[track_caller]
    fn test(self, state: &mut While) -> bool {
        state.test_host(self)
    }

    #[track_caller]
    fn assert(self, message: &str) {
        if !self {
            fail(message);
        }
    }

    #[track_caller]
    fn assert_formatted(self, message: std::fmt::Arguments<'_>) {
        if !self {
            fail(message.to_string());
        }
    }
}

impl Condition for Val<bool> {
    type If = RunIf;

    fn begin(self) -> RunIf {
        RunIf(self.id)
    }

    #[track_caller]
    fn test(self, state: &mut While) -> bool {
        state.test_run(self)
    }

    #[track_caller]
    fn assert(self, message: &str) {
        super::printing::check_text(self, message);
    }

    #[track_caller]
    fn assert_formatted(self, message: std::fmt::Arguments<'_>) {
        super::printing::check_formatted(self, message);
    }
}

impl HostIf {
    /// Whether to stage the first branch.
    pub fn then(&self) -> bool {
        self.0
    }

    /// Whether to stage the second branch.
    pub fn otherwise(&self) -> bool {
        !self.0
    }

    /// Ends the `if`.
    pub fn end(&self) {}

    /// Collects the branches' value.
    pub fn merge<R>(&self) -> HostMerge<R> {
        HostMerge(RefCell::new(None))
    }
}

impl RunIf {
    /// Opens the first branch.
    #[track_caller]
    pub fn then(&self) -> bool {
        build(|b| b.begin_if(self.0));
        true
    }

    /// Opens the second branch.
    #[track_caller]
    pub fn otherwise(&self) -> bool {
        build(|b| b.begin_else(&[]));
        true
    }

    /// Ends the `if`.
    #[track_caller]
    pub fn end(&self) {
        build(|b| b.end_if(&[], &[]));
    }

    /// Collects the branches' values.
    pub fn merge<R: Staged>(&self) -> RunMerge<R> {
        RunMerge::default()
    }
}

/// The value of an `if` or `match` decided while staging.
pub struct HostMerge<R>(RefCell<Option<R>>);

impl<R> Default for HostMerge<R> {
    fn default() -> Self {
        HostMerge(RefCell::new(None))
    }
}

impl<R> HostMerge<R> {
    /// Sets the value of the branch.
    pub fn put(&self, value: R) {
        *self.0.borrow_mut() = Some(value);
    }

    /// Sets the value of the branch to one that has a type of its own.
    pub fn put_typed(&self, value: R) {
        self.put(value);
    }

    /// Sets the value of the branch to a constant.
    #[track_caller]
    pub fn put_constant<H: HostAs<R>>(&self, value: H) {
        self.put(value.host_as());
    }

    /// The value.
    #[track_caller]
    pub fn take(self) -> R {
        // No closure: the error is at the caller's line.
        match self.0.into_inner() {
            Some(value) => value,
            None => fail(
                "the branch taken while staging leaves by return, break or continue, so this `if` \
                 has no value; move what follows into the other branch",
            ),
        }
    }
}

impl<S> HostMerge<Option<S>> {
    /// Sets the value of the branch to an option written there.
    pub fn put_option(&self, value: Option<S>) {
        self.put(value);
    }
}

/// The value of an `if`, `loop` or function whose paths join when the kernel runs.
pub struct RunMerge<R: Staged>(RefCell<Option<Place<R>>>);

impl<R: Staged> Default for RunMerge<R> {
    fn default() -> Self {
        RunMerge(RefCell::new(None))
    }
}

impl<R: Staged> RunMerge<R> {
    /// Sets the value on the path that ends here.
    #[track_caller]
    pub fn put(&self, value: R) {
        let mut place = self.0.borrow_mut();
        place.get_or_insert_with(|| Place::uninit("value")).set(value);
    }

    /// Sets the value on the path that ends here to one that has a type of its own.
    #[track_caller]
    pub fn put_typed<V: StoredAs<R>>(&self, value: V) {
        self.put(value.stored());
    }

    /// Sets the value on the path that ends here to a constant.
    #[track_caller]
    pub fn put_constant<V: StoredAs<R>>(&self, value: V) {
        self.put(value.stored());
    }

    /// The value after the paths joined.
    #[track_caller]
    pub fn take(self) -> R {
        match self.0.into_inner() {
            Some(place) => place.get(),
            // No path gets here: any value will do.
            None => zeros(),
        }
    }
}

/// `Some(x)` and `None` on the paths make a run-time option where they join.
macro_rules! options {
    ($($name:ident: $($method:ident $set:ident),*;)*) => {$(
        impl<S: Staged> $name<RunOption<S>> {
            $(/// Sets the value on the path to an option written there.
            #[track_caller]
            pub fn $method(&self, value: Option<S>) {
                self.$set(value.into_option());
            })*
        }
    )*};
}

options! {
    RunMerge: put_option put;
    Loop: brk_option brk_with;
    Body: put_option put, brk_option brk_with;
}

/// Where the paths join when the kernel runs, a literal on one of them is a run-time value.
macro_rules! literals {
    ($($name:ident: $($int:ident $float:ident $set:ident),*;)*) => {$(
        impl<T: Element> $name<Val<T>> {
            $(/// Sets the value on the path to an integer literal.
            #[track_caller]
            pub fn $int(&self, value: i128)
            where
                Val<T>: FromIntLit,
            {
                self.$set(Val::from_int_lit(value));
            }

            /// Sets the value on the path to a float literal.
            #[track_caller]
            pub fn $float(&self, value: f64)
            where
                Val<T>: FromFloatLit,
            {
                self.$set(Val::from_float_lit(value));
            })*
        }
    )*};
}

literals! {
    RunMerge: put_int put_float put;
    Loop: brk_int brk_float brk_with;
    Body: put_int put_float put, brk_int brk_float brk_with;
}

impl<R> HostMerge<R> {
    /// Sets the value of the branch to an integer literal.
    #[track_caller]
    pub fn put_int(&self, value: i128)
    where
        R: FromIntLit,
    {
        self.put(R::from_int_lit(value));
    }

    /// Sets the value of the branch to a float literal.
    #[track_caller]
    pub fn put_float(&self, value: f64)
    where
        R: FromFloatLit,
    {
        self.put(R::from_float_lit(value));
    }
}

/// Where the parts of tuples and the elements of arrays join.
macro_rules! parts {
    ($($method:ident: $($name:ident)*;)*) => {
        $(
            impl<$($name: Staged),*> RunMerge<($($name,)*)> {
                /// Where each part joins.
                pub fn $method(&self) -> ($(RunMerge<$name>,)*) {
                    ($(RunMerge::<$name>::default(),)*)
                }
            }

            impl<$($name: Staged),*> Body<($($name,)*)> {
                /// Where each part joins.
                pub fn $method(&self) -> ($(RunMerge<$name>,)*) {
                    self.value.$method()
                }
            }

            impl<$($name),*> HostMerge<($($name,)*)> {
                /// Where each part joins.
                pub fn $method(&self) -> ($(HostMerge<$name>,)*) {
                    ($(HostMerge::<$name>::default(),)*)
                }
            }
        )*
    };
}

parts! {
    parts1: A;
    parts2: A B;
    parts3: A B C;
    parts4: A B C D;
    parts5: A B C D E;
    parts6: A B C D E F;
    parts7: A B C D E F G;
    parts8: A B C D E F G H;
}

impl<S: Staged, const N: usize> RunMerge<[S; N]> {
    /// Where an element joins.
    pub fn element(&self) -> RunMerge<S> {
        RunMerge::default()
    }
}

impl<S: Staged, const N: usize> Body<[S; N]> {
    /// Where an element joins.
    pub fn element(&self) -> RunMerge<S> {
        RunMerge::default()
    }
}

impl<S, const N: usize> HostMerge<[S; N]> {
    /// Where an element joins.
    pub fn element(&self) -> HostMerge<S> {
        HostMerge::default()
    }
}

/// `if c { yes } else { no }` on values that are both there.
#[track_caller]
pub fn select<S: Staged>(condition: Val<bool>, yes: S, no: S) -> S {
    let pairs = leaves(&yes).into_iter().zip(leaves(&no));
    let picked: Vec<Value> =
        build(|b| pairs.map(|(yes, no)| b.select(condition.id, yes, no)).collect());
    S::unflatten(&mut picked.into_iter())
}

/// Where `break` and `continue` go.
pub trait Jump {
    /// The label that `break` leaves.
    fn break_label(&self) -> Label;
    /// The label that `continue` goes to, and whether that is a loop of the IR (else a block).
    fn continue_label(&self) -> (Label, bool);

    /// `break`.
    #[track_caller]
    fn brk(&self) {
        let label = self.break_label();
        build(|b| b.brk(label));
    }

    /// `continue`.
    #[track_caller]
    fn cont(&self) {
        let (label, is_loop) = self.continue_label();
        build(|b| if is_loop { b.cont(label) } else { b.brk(label) });
    }
}

/// The labels of a loop that runs while staging: a block around all iterations, one around each.
#[derive(Clone, Copy)]
pub(crate) struct HostLabels {
    pub(crate) all: Label,
    pub(crate) one: Label,
}

/// A `while`.
pub struct While {
    state: WhileState,
}

enum WhileState {
    /// The condition is being staged for the first time, inside an IR loop that is not certain.
    Fresh(Label),
    Run(Label),
    Host {
        all: Label,
        one: Option<Label>,
    },
    Done,
}

impl While {
    /// Begins a `while`, before its condition.
    #[track_caller]
    pub fn begin() -> While {
        undecided(|loops| loops.push(None));
        While { state: WhileState::Fresh(build(|b| b.begin_loop())) }
    }

    /// Whether to stage the body (again), by what the condition turned out to be.
    #[track_caller]
    pub fn test(&mut self, condition: impl Condition) -> bool {
        condition.test(self)
    }

    #[track_caller]
    fn test_host(&mut self, go: bool) -> bool {
        if let WhileState::Fresh(_) = self.state {
            undecided(|loops| loops.pop());
            let all = build(|b| {
                b.cancel_loop();
                b.begin_block()
            });
            self.state = WhileState::Host { all, one: None };
        }
        let WhileState::Host { all, .. } = self.state else {
            fail("the condition of this `while` is a host bool only some of the time");
        };
        let one = go.then(|| build(|b| b.begin_block()));
        self.state = WhileState::Host { all, one };
        go
    }

    #[track_caller]
    fn test_run(&mut self, go: Val<bool>) -> bool {
        let WhileState::Fresh(label) = self.state else {
            fail("the condition of this `while` is a run-time bool only some of the time");
        };
        self.state = WhileState::Run(label);
        if let Some(error) = undecided(|loops| loops.pop().flatten()) {
            raise(error);
        }
        build(|b| {
            b.begin_if(go.id);
            b.begin_else(&[]);
            b.brk(label);
            b.end_if(&[], &[]);
        });
        true
    }

    /// After the body: whether to stage the condition again.
    #[track_caller]
    pub fn again(&mut self) -> bool {
        match self.state {
            WhileState::Host { all, .. } => {
                self.state = WhileState::Host { all, one: None };
                build(|b| {
                    b.end_block();
                    !b.is_dead()
                })
            }
            _ => false,
        }
    }

    /// Ends the `while`.
    #[track_caller]
    pub fn end(&mut self) {
        match std::mem::replace(&mut self.state, WhileState::Done) {
            WhileState::Run(_) => build(|b| b.end_loop()),
            WhileState::Host { .. } => build(|b| b.end_block()),
            WhileState::Fresh(_) | WhileState::Done => fail("this `while` has no condition"),
        }
    }
}

impl Jump for While {
    #[track_caller]
    fn break_label(&self) -> Label {
        match self.state {
            WhileState::Fresh(label) | WhileState::Run(label) => label,
            WhileState::Host { all, .. } => all,
            WhileState::Done => fail("break outside its loop"),
        }
    }

    #[track_caller]
    fn continue_label(&self) -> (Label, bool) {
        match self.state {
            WhileState::Fresh(label) | WhileState::Run(label) => (label, true),
            WhileState::Host { one: Some(one), .. } => (one, false),
            WhileState::Host { .. } | WhileState::Done => fail("continue outside its loop"),
        }
    }
}

/// A `loop` with the value of its `break`s.
pub struct Loop<R: Staged> {
    label: Label,
    value: RunMerge<R>,
}

impl<R: Staged> Loop<R> {
    /// Begins a `loop`.
    #[track_caller]
    pub fn begin() -> Loop<R> {
        Loop { label: build(|b| b.begin_loop()), value: RunMerge::default() }
    }

    /// `break value`.
    #[track_caller]
    pub fn brk_with(&self, value: R) {
        self.value.put(value);
        self.brk();
    }

    /// `break value`, of a value that has a type of its own.
    #[track_caller]
    pub fn brk_typed<V: StoredAs<R>>(&self, value: V) {
        self.brk_with(value.stored());
    }

    /// Ends the `loop`; its value is what it broke with.
    #[track_caller]
    pub fn end(self) -> R {
        build(|b| b.end_loop());
        self.value.take()
    }
}

impl<R: Staged> Jump for Loop<R> {
    fn break_label(&self) -> Label {
        self.label
    }

    fn continue_label(&self) -> (Label, bool) {
        (self.label, true)
    }
}

/// A labelled block, or the body of a device function with a `return` in it: what leaves it early
/// has a value.
pub struct Body<R: Staged> {
    label: Label,
    value: RunMerge<R>,
}

impl<R: Staged> Body<R> {
    /// Begins the body.
    #[track_caller]
    pub fn begin() -> Body<R> {
        Body { label: build(|b| b.begin_block()), value: RunMerge::default() }
    }

    /// `return value` or `break 'label value`.
    #[track_caller]
    pub fn brk_with(&self, value: R) {
        self.value.put(value);
        build(|b| b.brk(self.label));
    }

    /// `return value` of a value that has a type of its own.
    #[track_caller]
    pub fn brk_typed<V: StoredAs<R>>(&self, value: V) {
        self.brk_with(value.stored());
    }

    /// Sets the value at the end.
    #[track_caller]
    pub fn put(&self, value: R) {
        self.value.put(value);
    }

    /// Sets the value at the end to one that has a type of its own.
    #[track_caller]
    pub fn put_typed<V: StoredAs<R>>(&self, value: V) {
        self.value.put_typed(value);
    }

    /// Sets the value at the end to a constant.
    #[track_caller]
    pub fn put_constant<V: StoredAs<R>>(&self, value: V) {
        self.value.put_constant(value);
    }

    /// Ends the body.
    #[track_caller]
    pub fn end(self) -> R {
        build(|b| b.end_block());
        self.value.take()
    }
}

/// `return` in a kernel.
#[track_caller]
pub fn ret() {
    build(|b| b.ret());
}

/// `panic!`: the end of the thread, with a message. Where the kernel's own control flow has decided
/// nothing, all threads would get there, so that the kernel is wrong.
#[track_caller]
pub fn panic(message: std::fmt::Arguments<'_>) {
    let decided = build(|b| b.run_time_depth()) > 0;
    if !decided {
        fail(message.to_string());
    }
    super::printing::check_formatted(false.into(), message);
    ret();
}

/// The value of an expression that ends the path.
#[track_caller]
pub fn unreached<R: Staged>() -> R {
    zeros()
}

/// A variable of the host. Changing it under control flow that is decided when the kernel runs
/// would change it for all threads, whatever they do; so that is an error.
pub struct Comptime<T> {
    value: T,
    depth: usize,
    undecided: usize,
    location: &'static std::panic::Location<'static>,
}

impl<T> Comptime<T> {
    /// `#[comptime] let mut x = value;`
    #[track_caller]
    pub fn new(value: T) -> Comptime<T> {
        let location = std::panic::Location::caller();
        let undecided = undecided(|loops| loops.len());
        Comptime { value, depth: build(|b| b.run_time_depth()), undecided, location }
    }
}

impl<T> std::ops::Deref for Comptime<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> std::ops::DerefMut for Comptime<T> {
    #[track_caller]
    fn deref_mut(&mut self) -> &mut T {
        let message = || {
            format!(
                "a host variable (declared at {}) is changed under control flow that is decided \
                 when the kernel runs; make it a run-time variable by leaving out `#[comptime]`",
                self.location
            )
        };
        // In the condition of a `while` that is yet to show what it is, it is wrong only if the loop
        // runs on the device.
        let open = undecided(|loops| loops.len()) - self.undecided;
        if build(|b| b.run_time_depth()) != self.depth + open {
            fail(message());
        }
        if open > 0 {
            let location = std::panic::Location::caller().to_string();
            let error = StagingError { message: message(), location };
            undecided(|loops| loops[self.undecided..].fill(Some(error)));
        }
        &mut self.value
    }
}
