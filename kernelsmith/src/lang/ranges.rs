//! `for`: over ranges when the kernel runs, over anything iterable while staging.

use std::ops::{Range, RangeInclusive};

use kernelsmith_ir::attr::Const;
use kernelsmith_ir::{Label, Opcode, Scalar, Value};

use super::control::{HostLabels, Jump};
use super::element::Int;

use super::search::Rounds;
use super::stage::{build, fail};
use super::val::{IntoVal, Val};

/// A range of integers known when the kernel runs.
#[derive(Clone, Copy)]
pub struct RunRange<T: Int> {
    lo: Val<T>,
    hi: Val<T>,
    step: Option<Val<usize>>,
    reversed: bool,
    /// The first element is the last of `lo..hi`, and steps go down.
    down: bool,
    /// `hi` is in the range.
    through: bool,
}

impl<T: Int> RunRange<T> {
    fn new(lo: Val<T>, hi: Val<T>, through: bool) -> RunRange<T> {
        RunRange { lo, hi, step: None, reversed: false, down: false, through }
    }
}

impl<T: Int> RunRange<T> {
    /// Every `step`-th element, beginning with the first. `step` must not be 0.
    #[track_caller]
    #[must_use]
    pub fn step_by(self, step: impl IntoVal<usize>) -> RunRange<T> {
        if self.step.is_some() {
            fail("a range has one `step_by`: multiply the steps");
        }
        let (step, down) = (Some(step.into_val()), self.reversed);
        RunRange { step, down, reversed: false, ..self }
    }

    /// Whether the loop counts its rounds, rather than run over the range itself.
    fn counts(self) -> bool {
        self.step.is_some() || self.through
    }

    /// The number of elements.
    #[track_caller]
    pub(crate) fn length(self) -> Val<usize> {
        Val::from_id(steps(self))
    }

    /// The element of a round, less than the number of elements.
    #[track_caller]
    pub(crate) fn element(self, round: Val<usize>) -> Val<T> {
        self.counted(round, self.length())
    }

    #[track_caller]
    fn counted(self, round: Val<usize>, count: Val<usize>) -> Val<T> {
        let round = if self.reversed { count - 1 - round } else { round };
        let offset = match self.step {
            Some(step) => round * step,
            None => round,
        };
        let offset: Val<T> = offset.cast();
        let element = match self.down {
            false => self.lo + offset,
            true if self.through => self.hi - offset,
            true => self.hi - super::integer::int::<T>(1) - offset,
        };
        // As round < count = ceil((hi - lo) / step), no offset wraps or leads out of the range.
        let below = if self.through { Opcode::Le } else { Opcode::Lt };
        build(|b| {
            let inside = b.compare(below, element.id, self.hi.id);
            b.check(inside, kernelsmith_ir::attr::CheckKind::Assumption, None);
        });
        element
    }

    /// The first element, and the one after the last, of a range without a step.
    #[track_caller]
    pub(crate) fn ends(self) -> (Val<T>, Val<T>) {
        if self.step.is_some() || self.reversed {
            fail("a range of indices has neither step nor `rev`");
        }
        let one: Val<T> = super::integer::int(1);
        (self.lo, if self.through { self.hi + one } else { self.hi })
    }

    /// Whether a number is in the range.
    #[track_caller]
    pub fn contains(&self, x: &Val<T>) -> Val<bool> {
        let above = super::compare::ge(*x, self.lo);
        let below = if self.through {
            super::compare::le(*x, self.hi)
        } else {
            super::compare::lt(*x, self.hi)
        };
        above & below
    }

    /// From the last element to the first.
    #[must_use]
    pub fn rev(self) -> RunRange<T> {
        RunRange { reversed: !self.reversed, ..self }
    }
}

/// `lo..hi` in a kernel: of the host if both ends are.
#[diagnostic::on_unimplemented(
    message = "`{Self}..{Hi}` is not a range of kernels",
    note = "both ends must have one integer type; convert with `as`"
)]
pub trait RangeTo<Hi> {
    /// `Range` or `RunRange`.
    type Out;
    /// `RangeInclusive` or `RunRange`.
    type Through;
    /// `lo..hi`.
    fn range_to(self, hi: Hi) -> Self::Out;
    /// `lo..=hi`.
    fn range_through(self, hi: Hi) -> Self::Through;
}

impl<T: Int, H: IntoVal<T>> RangeTo<H> for Val<T> {
    type Out = RunRange<T>;
    type Through = RunRange<T>;
    #[track_caller]
    fn range_through(self, hi: H) -> RunRange<T> {
        RunRange::new(self, hi.into_val(), true)
    }
    #[track_caller]
    fn range_to(self, hi: H) -> RunRange<T> {
        RunRange::new(self, hi.into_val(), false)
    }
}

macro_rules! host_ranges {
    ($($ty:ty),*) => {$(
        impl RangeTo<Val<$ty>> for $ty {
            type Out = RunRange<$ty>;
            type Through = RunRange<$ty>;
            #[track_caller]
            fn range_through(self, hi: Val<$ty>) -> RunRange<$ty> {
                Val::from(self).range_through(hi)
            }
            #[track_caller]
            fn range_to(self, hi: Val<$ty>) -> RunRange<$ty> {
                Val::from(self).range_to(hi)
            }
        }
        impl RangeTo<$ty> for $ty {
            type Out = Range<$ty>;
            type Through = RangeInclusive<$ty>;
            fn range_through(self, hi: $ty) -> RangeInclusive<$ty> {
                self..=hi
            }
            fn range_to(self, hi: $ty) -> Range<$ty> {
                self..hi
            }
        }
    )*};
}

host_ranges!(i8, i16, i32, i64, isize, u8, u16, u32, u64, usize);

/// `lo..hi` as the macro writes it.
#[track_caller]
pub fn range_to<L: RangeTo<H>, H>(lo: L, hi: H) -> L::Out {
    lo.range_to(hi)
}

/// `lo..=hi` as the macro writes it.
#[track_caller]
pub fn range_through<L: RangeTo<H>, H>(lo: L, hi: H) -> L::Through {
    lo.range_through(hi)
}

/// A loop that runs on the device although its ends are known while staging: `for i in
/// range(0, N)`. (`for i in 0..N` with host ends unrolls.)
#[track_caller]
pub fn range<L: IntoVal<usize>, H: IntoVal<usize>>(lo: L, hi: H) -> RunRange<usize> {
    RunRange::new(lo.into_val(), hi.into_val(), false)
}

/// What a loop can be unrolled over.
#[diagnostic::on_unimplemented(
    message = "a loop over `{Self}` cannot be unrolled: how long it is, only the running kernel knows",
    note = "leave out `unroll`, or make the ends constants or `#[comptime]` parameters"
)]
pub trait Unroll: IntoIterator {}

#[diagnostic::do_not_recommend]
impl<I: IntoIterator> Unroll for I {}

/// Says that a loop over a host range is meant to be unrolled; the same as the range itself.
pub fn unroll<I: Unroll>(range: I) -> I {
    range
}

/// What `for` goes over.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not something a kernel's `for` can go over",
    note = "ranges run on the device when an end is known only there; host iterators unroll"
)]
pub trait IntoLoop {
    /// The loop's state.
    type Loop;
    /// Begins the loop.
    fn into_loop(self) -> Self::Loop;
}

/// A loop whose iterations are staged one by one.
pub struct HostLoop<I: Iterator> {
    items: I,
    labels: HostLabels,
    open: bool,
}

#[diagnostic::do_not_recommend]
impl<I: IntoIterator> IntoLoop for I {
    type Loop = HostLoop<I::IntoIter>;
    #[track_caller]
    fn into_loop(self) -> Self::Loop {
        let all = build(|b| b.begin_block());
        HostLoop { items: self.into_iter(), labels: HostLabels { all, one: all }, open: false }
    }
}

impl<I: Iterator> HostLoop<I> {
    /// The next element, if the loop is to go on.
    #[track_caller]
    pub fn next_item(&mut self) -> Option<I::Item> {
        if self.open {
            self.open = false;
            let dead = build(|b| {
                b.end_block();
                b.is_dead()
            });
            // Every path left by `break` or `return`.
            if dead {
                return None;
            }
        }
        let item = self.items.next()?;
        self.labels.one = build(|b| b.begin_block());
        self.open = true;
        Some(item)
    }

    /// Ends the loop.
    #[track_caller]
    pub fn end(self) {
        build(|b| b.end_block());
    }
}

impl<I: Iterator> Rounds for HostLoop<I> {
    type Item = I::Item;
    #[track_caller]
    fn next_item(&mut self) -> Option<I::Item> {
        HostLoop::next_item(self)
    }
    #[track_caller]
    fn end(self) {
        HostLoop::end(self);
    }
}

impl<I: Iterator> Jump for HostLoop<I> {
    fn break_label(&self) -> Label {
        self.labels.all
    }
    fn continue_label(&self) -> (Label, bool) {
        (self.labels.one, false)
    }
}

/// A loop of the IR.
pub struct RunLoop<T: Int> {
    range: RunRange<T>,
    label: Label,
    counter: Value,
    staged: bool,
}

impl<T: Int> IntoLoop for RunRange<T> {
    type Loop = RunLoop<T>;

    #[track_caller]
    fn into_loop(self) -> RunLoop<T> {
        let (label, counter) = if self.counts() {
            let count = steps(self);
            build(|b| {
                let zero = b.constant(Const::int(Scalar::U64, 0));
                b.begin_for(zero, count)
            })
        } else {
            build(|b| b.begin_for(self.lo.id, self.hi.id))
        };
        RunLoop { range: self, label, counter, staged: false }
    }
}

/// The number of elements: `ceil((hi - lo) / step)`, 0 if `hi <= lo`; one more if `hi` is in the
/// range and a multiple of the step away.
#[track_caller]
fn steps<T: Int>(range: RunRange<T>) -> Value {
    build(|b| {
        let one = b.constant(Const::int(Scalar::U64, 1));
        let zero = b.constant(Const::int(Scalar::U64, 0));
        let not_empty = if range.through { Opcode::Le } else { Opcode::Lt };
        let some = b.compare(not_empty, range.lo.id, range.hi.id);
        // Sign-extended differences are right modulo 2^64, and a non-empty range's fits.
        let lo = b.cast(range.lo.id, Scalar::U64);
        let hi = b.cast(range.hi.id, Scalar::U64);
        let mut last = b.same(Opcode::Sub, &[hi, lo]);
        if !range.through {
            last = b.same(Opcode::Sub, &[last, one]);
        }
        if let Some(step) = range.step {
            let nonzero = b.compare(Opcode::Ne, step.id, zero);
            let message = Some("the step of a range is not 0");
            b.check(nonzero, kernelsmith_ir::attr::CheckKind::Assert, message);
            last = b.same(Opcode::Div, &[last, step.id]);
        }
        // `0..=u64::MAX` has one element too many to count; nobody gets to the last of them.
        if range.through && T::TYPE.bits() == 64 {
            let most = b.constant(Const::int(Scalar::U64, i128::from(u64::MAX - 1)));
            last = b.same(Opcode::Min, &[last, most]);
        }
        let count = b.same(Opcode::Add, &[last, one]);
        b.select(some, count, zero)
    })
}

impl<T: Int> RunLoop<T> {
    /// The induction value, once.
    #[track_caller]
    pub fn next_item(&mut self) -> Option<Val<T>> {
        if std::mem::replace(&mut self.staged, true) {
            return None;
        }
        let range = self.range;
        if range.counts() {
            // The loop's own bound is the number of rounds.
            let count = build(|b| b.for_bound(self.label));
            return Some(range.counted(Val::from_id(self.counter), Val::from_id(count)));
        }
        let id = match range.reversed {
            false => self.counter,
            // lo + hi - 1 - i, modulo the width.
            true => build(|b| {
                let one = b.constant(Const::int(T::TYPE, 1));
                let sum = b.same(Opcode::Add, &[range.lo.id, range.hi.id]);
                let last = b.same(Opcode::Sub, &[sum, one]);
                b.same(Opcode::Sub, &[last, self.counter])
            }),
        };
        Some(Val::from_id(id))
    }

    /// Ends the loop.
    #[track_caller]
    pub fn end(self) {
        build(|b| b.end_for());
    }
}

impl<T: Int> Rounds for RunLoop<T> {
    type Item = Val<T>;
    #[track_caller]
    fn next_item(&mut self) -> Option<Val<T>> {
        RunLoop::next_item(self)
    }
    #[track_caller]
    fn end(self) {
        RunLoop::end(self);
    }
}

impl<T: Int> Jump for RunLoop<T> {
    fn break_label(&self) -> Label {
        self.label
    }
    fn continue_label(&self) -> (Label, bool) {
        (self.label, true)
    }
}

/// Begins a `for`.
#[track_caller]
pub fn for_loop<L: IntoLoop>(over: L) -> L::Loop {
    over.into_loop()
}

/// An array made element by element while staging, as `std::array::from_fn`.
pub fn array<S, const N: usize>(element: impl FnMut(usize) -> S) -> [S; N] {
    std::array::from_fn(element)
}
