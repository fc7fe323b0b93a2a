//! Iterators over what is known when the kernel runs: memory, and ranges that are more than the
//! head of a loop.

use super::compare::lt;
use super::element::Stored;
use super::index::{Memory, Slot, unchecked};
use super::option::RunOption;
use super::ranges::{IntoLoop, RunLoop, range};
use super::search::{Items, OfItems, Rounds};
use super::sequence::{
    Chained, Copies, Enumerated, IntoSequence, Mapped, Reversed, Skipped, Stepped, Taken, Zipped,
};
use super::staged::Staged;
use super::val::{IntoVal, Val};

/// A sequence of which only the running kernel knows the length.
pub trait Sequence {
    /// What it is of.
    type Item;
    /// The number of items.
    fn count(&self) -> Val<usize>;
    /// An item, whose index is less than `count`.
    fn item(&self, index: Val<usize>) -> Self::Item;
}

/// An iterator of a kernel: `for x in values.iter()`.
#[derive(Clone, Copy)]
pub struct RunIter<S>(pub(crate) S);

/// The elements of memory.
#[derive(Clone, Copy)]
pub struct Elements<M, T> {
    memory: M,
    ty: std::marker::PhantomData<T>,
}

impl<T: Stored, M: Memory<T>> Sequence for Elements<M, T> {
    type Item = &'static Val<T>;
    fn count(&self) -> Val<usize> {
        self.memory.length()
    }
    #[track_caller]
    fn item(&self, index: Val<usize>) -> &'static Val<T> {
        // A reference as Rust's iterators give, to the handle of a value. A few bytes for each loop
        // of each kernel staged are never freed.
        Box::leak(Box::new(unchecked(&self.memory, index).get()))
    }
}

/// The places of the elements of memory.
#[derive(Clone, Copy)]
pub struct Places<M, T> {
    memory: M,
    ty: std::marker::PhantomData<T>,
}

impl<T: Stored, M: Memory<T>> Sequence for Places<M, T> {
    type Item = Slot<T>;
    fn count(&self) -> Val<usize> {
        self.memory.length()
    }
    #[track_caller]
    fn item(&self, index: Val<usize>) -> Slot<T> {
        unchecked(&self.memory, index)
    }
}

/// The places of the elements of some memory, in order.
pub(crate) fn places<T: Stored, M: Memory<T>>(memory: M) -> RunIter<Places<M, T>> {
    RunIter(Places { memory, ty: std::marker::PhantomData })
}

/// The elements of some memory, in order.
pub(crate) fn elements<T: Stored, M: Memory<T>>(memory: M) -> RunIter<Elements<M, T>> {
    RunIter(Elements { memory, ty: std::marker::PhantomData })
}

impl<S: Sequence> RunIter<S> {
    /// From the last item to the first.
    pub fn rev(self) -> RunIter<Reversed<S>> {
        RunIter(Reversed { items: self.0 })
    }

    /// Items with their indices.
    pub fn enumerate(self) -> RunIter<Enumerated<S>> {
        RunIter(Enumerated { items: self.0 })
    }

    /// Items together with those of another iterator, as long as both have some.
    pub fn zip<R: IntoSequence>(self, other: R) -> RunIter<Zipped<S, R::Sequence>> {
        RunIter(Zipped { left: self.0, right: other.into_sequence() })
    }

    /// What a function makes of the items.
    pub fn map<T, F: Fn(S::Item) -> T>(self, make: F) -> RunIter<Mapped<S, F>> {
        RunIter(Mapped { items: self.0, make })
    }

    /// Every `step`-th item, beginning with the first. `step` must not be 0.
    #[track_caller]
    pub fn step_by(self, step: impl IntoVal<usize>) -> RunIter<Stepped<S>> {
        RunIter(Stepped { items: self.0, step: step.into_val() })
    }

    /// The items but the first ones.
    #[track_caller]
    pub fn skip(self, first: impl IntoVal<usize>) -> RunIter<Skipped<S>> {
        RunIter(Skipped { items: self.0, first: first.into_val() })
    }

    /// The first items.
    #[track_caller]
    pub fn take(self, most: impl IntoVal<usize>) -> RunIter<Taken<S>> {
        RunIter(Taken { items: self.0, most: most.into_val() })
    }

    /// The items, and behind them those of another iterator.
    pub fn chain<R: IntoSequence<Sequence: Sequence<Item = S::Item>>>(
        self,
        other: R,
    ) -> RunIter<Chained<S, R::Sequence>>
    where
        S::Item: Staged,
    {
        RunIter(Chained { first: self.0, then: other.into_sequence() })
    }

    /// The number of items.
    #[track_caller]
    pub fn count(self) -> Val<usize> {
        self.0.count()
    }

    /// The item of an index, if there are so many.
    #[track_caller]
    pub fn nth(self, index: impl IntoVal<usize>) -> RunOption<S::Item>
    where
        S::Item: Staged,
    {
        let index = index.into_val();
        lt(index, self.0.count()).then(|| self.0.item(index))
    }

    /// The last item, if there is one.
    #[track_caller]
    pub fn last(self) -> RunOption<S::Item>
    where
        S::Item: Staged,
    {
        self.rev().nth(0usize)
    }
}

/// What goes through the items one by one; those that ask conditions are in `search`.
impl<S: Sequence> RunIter<S> {
    /// What a function makes of an initial value and all items, one after the other.
    #[track_caller]
    pub fn fold<R: Staged>(self, init: R, step: impl FnMut(R, S::Item) -> R) -> R {
        Items(self).fold(init, step)
    }

    /// Does something with each item.
    #[track_caller]
    pub fn for_each(self, act: impl FnMut(S::Item)) {
        Items(self).for_each(act);
    }

    /// The sum of the items.
    #[track_caller]
    pub fn sum<R: OfItems<S::Item>>(self) -> R {
        Items(self).sum()
    }

    /// The product of the items.
    #[track_caller]
    pub fn product<R: OfItems<S::Item>>(self) -> R {
        Items(self).product()
    }
}

impl<T: Stored, S: Sequence<Item = &'static Val<T>>> RunIter<S> {
    /// The items themselves, rather than references.
    pub fn copied(self) -> RunIter<Copies<S>> {
        RunIter(Copies { items: self.0 })
    }

    /// The items themselves, rather than references.
    pub fn cloned(self) -> RunIter<Copies<S>> {
        self.copied()
    }
}

/// A loop over an iterator.
pub struct IterLoop<S> {
    items: S,
    indices: RunLoop<usize>,
}

impl<S: Sequence> IntoLoop for RunIter<S> {
    type Loop = IterLoop<S>;
    #[track_caller]
    fn into_loop(self) -> IterLoop<S> {
        let count = self.0.count();
        IterLoop { items: self.0, indices: range(0, count).into_loop() }
    }
}

impl<S: Sequence> IterLoop<S> {
    /// The item, once.
    #[track_caller]
    pub fn next_item(&mut self) -> Option<S::Item> {
        self.indices.next_item().map(|index| self.items.item(index))
    }

    /// Ends the loop.
    #[track_caller]
    pub fn end(self) {
        self.indices.end();
    }
}

impl<S: Sequence> Rounds for IterLoop<S> {
    type Item = S::Item;
    #[track_caller]
    fn next_item(&mut self) -> Option<S::Item> {
        IterLoop::next_item(self)
    }
    #[track_caller]
    fn end(self) {
        IterLoop::end(self);
    }
}

impl<S> super::control::Jump for IterLoop<S> {
    fn break_label(&self) -> kernelsmith_ir::Label {
        self.indices.break_label()
    }
    fn continue_label(&self) -> (kernelsmith_ir::Label, bool) {
        self.indices.continue_label()
    }
}
