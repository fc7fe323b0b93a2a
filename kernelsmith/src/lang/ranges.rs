//! `for`: over ranges when the kernel runs, over anything iterable while staging.

use std::ops::Range;

use kernelsmith_ir::attr::Const;
use kernelsmith_ir::{Label, Opcode, Scalar, Value};

use super::control::{HostLabels, Jump};
use super::element::Int;
use super::stage::{build, fail};
use super::val::{IntoVal, Val};

/// A range of integers known when the kernel runs.
#[derive(Clone, Copy)]
pub struct RunRange<T: Int> {
    lo: Val<T>,
    hi: Val<T>,
    step: Option<Val<usize>>,
    reversed: bool,
}

impl<T: Int> RunRange<T> {
    /// Every `step`-th element, beginning with the first. `step` must not be 0.
    #[track_caller]
    #[must_use]
    pub fn step_by(self, step: impl IntoVal<usize>) -> RunRange<T> {
        if self.step.is_some() || self.reversed {
            fail("`step_by` comes once, before `rev`");
        }
        RunRange { step: Some(step.into_val()), ..self }
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
    /// The range.
    fn range_to(self, hi: Hi) -> Self::Out;
}

impl<T: Int, H: IntoVal<T>> RangeTo<H> for Val<T> {
    type Out = RunRange<T>;
    #[track_caller]
    fn range_to(self, hi: H) -> RunRange<T> {
        RunRange { lo: self, hi: hi.into_val(), step: None, reversed: false }
    }
}

macro_rules! host_ranges {
    ($($ty:ty),*) => {$(
        impl RangeTo<Val<$ty>> for $ty {
            type Out = RunRange<$ty>;
            #[track_caller]
            fn range_to(self, hi: Val<$ty>) -> RunRange<$ty> {
                Val::from(self).range_to(hi)
            }
        }
        impl RangeTo<$ty> for $ty {
            type Out = Range<$ty>;
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

/// A loop that runs on the device although its ends are known while staging: `for i in
/// range(0, N)`. (`for i in 0..N` with host ends unrolls.)
#[track_caller]
pub fn range<L: IntoVal<usize>, H: IntoVal<usize>>(lo: L, hi: H) -> RunRange<usize> {
    RunRange { lo: lo.into_val(), hi: hi.into_val(), step: None, reversed: false }
}

/// Says that a loop over a host range is meant to be unrolled; the same as the range itself.
pub fn unroll<I: IntoIterator>(range: I) -> I {
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
        let (label, counter) = match self.step {
            None => build(|b| b.begin_for(self.lo.id, self.hi.id)),
            Some(step) => {
                let count = steps(self, step);
                build(|b| {
                    let zero = b.constant(Const::int(Scalar::U64, 0));
                    b.begin_for(zero, count)
                })
            }
        };
        RunLoop { range: self, label, counter, staged: false }
    }
}

/// The number of elements of a stepped range: `ceil((hi - lo) / step)`, 0 if `hi <= lo`.
#[track_caller]
fn steps<T: Int>(range: RunRange<T>, step: Val<usize>) -> Value {
    build(|b| {
        let one = b.constant(Const::int(Scalar::U64, 1));
        let zero = b.constant(Const::int(Scalar::U64, 0));
        let some = b.compare(Opcode::Lt, range.lo.id, range.hi.id);
        // Sign-extended differences are right modulo 2^64, and a non-empty range's fits.
        let lo = b.cast(range.lo.id, Scalar::U64);
        let hi = b.cast(range.hi.id, Scalar::U64);
        let len = b.same(Opcode::Sub, &[hi, lo]);
        let last = b.same(Opcode::Sub, &[len, one]);
        let nonzero = b.compare(Opcode::Ne, step.id, zero);
        let message = Some("the step of a range is not 0");
        b.check(nonzero, kernelsmith_ir::attr::CheckKind::Assert, message);
        let full = b.same(Opcode::Div, &[last, step.id]);
        let count = b.same(Opcode::Add, &[full, one]);
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
        let RunRange { lo, hi, step, reversed } = self.range;
        let id = build(|b| match (step, reversed) {
            (None, false) => self.counter,
            // lo + hi - 1 - i, modulo the width.
            (None, true) => {
                let one = b.constant(Const::int(T::TYPE, 1));
                let sum = b.same(Opcode::Add, &[lo.id, hi.id]);
                let last = b.same(Opcode::Sub, &[sum, one]);
                b.same(Opcode::Sub, &[last, self.counter])
            }
            (Some(step), _) => {
                let mut counter = self.counter;
                if reversed {
                    let one = b.constant(Const::int(Scalar::U64, 1));
                    // The loop's own bound is the number of steps.
                    let count = b.for_bound(self.label);
                    let last = b.same(Opcode::Sub, &[count, one]);
                    counter = b.same(Opcode::Sub, &[last, counter]);
                }
                let offset = b.same(Opcode::Mul, &[counter, step.id]);
                let offset = match T::TYPE {
                    Scalar::U64 => offset,
                    scalar => b.cast(offset, scalar),
                };
                b.same(Opcode::Add, &[lo.id, offset])
            }
        });
        Some(Val::from_id(id))
    }

    /// Ends the loop.
    #[track_caller]
    pub fn end(self) {
        build(|b| b.end_for());
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
