//! Adaptors of sequences: each knows the number of its items, and gives any of them by its index.

use super::compare::lt;
use super::control::Condition;
use super::element::{Int, Stored};
use super::iter::{Elements, RunIter, Sequence};
use super::memory::{Slice, SliceMut};
use super::ranges::RunRange;
use super::search::OfItems;
use super::staged::Staged;
use super::val::{IntoVal, Val};

macro_rules! adaptors {
    ($($(#[$meta:meta])* $name:ident<$($param:ident),*> { $($field:ident: $ty:ty),* };)*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy)]
        pub struct $name<$($param),*> {
            $(pub(super) $field: $ty),*
        }
    )*};
}

adaptors! {
    /// From the last item to the first.
    Reversed<S> { items: S };
    /// Items with their indices.
    Enumerated<S> { items: S };
    /// Items of two sequences, as long as both have some.
    Zipped<S, R> { left: S, right: R };
    /// What a function makes of the items.
    Mapped<S, F> { items: S, make: F };
    /// Every `step`-th item.
    Stepped<S> { items: S, step: Val<usize> };
    /// The items but the first ones.
    Skipped<S> { items: S, first: Val<usize> };
    /// The items that references refer to.
    Copies<S> { items: S };
    /// The first items.
    Taken<S> { items: S, most: Val<usize> };
    /// The items of one sequence, then those of another.
    Chained<S, R> { first: S, then: R };
}

impl<S: Sequence> Sequence for Reversed<S> {
    type Item = S::Item;
    fn count(&self) -> Val<usize> {
        self.items.count()
    }
    #[track_caller]
    fn item(&self, index: Val<usize>) -> S::Item {
        self.items.item(self.items.count() - 1 - index)
    }
}

impl<S: Sequence> Sequence for Enumerated<S> {
    type Item = (Val<usize>, S::Item);
    fn count(&self) -> Val<usize> {
        self.items.count()
    }
    #[track_caller]
    fn item(&self, index: Val<usize>) -> (Val<usize>, S::Item) {
        (index, self.items.item(index))
    }
}

impl<S: Sequence, R: Sequence> Sequence for Zipped<S, R> {
    type Item = (S::Item, R::Item);
    #[track_caller]
    fn count(&self) -> Val<usize> {
        self.left.count().min(self.right.count())
    }
    #[track_caller]
    fn item(&self, index: Val<usize>) -> (S::Item, R::Item) {
        (self.left.item(index), self.right.item(index))
    }
}

impl<S: Sequence, T, F: Fn(S::Item) -> T> Sequence for Mapped<S, F> {
    type Item = T;
    fn count(&self) -> Val<usize> {
        self.items.count()
    }
    #[track_caller]
    fn item(&self, index: Val<usize>) -> T {
        (self.make)(self.items.item(index))
    }
}

impl<S: Sequence> Sequence for Stepped<S> {
    type Item = S::Item;
    #[track_caller]
    fn count(&self) -> Val<usize> {
        self.items.count().div_ceil(self.step)
    }
    #[track_caller]
    fn item(&self, index: Val<usize>) -> S::Item {
        self.items.item(index * self.step)
    }
}

impl<S: Sequence> Sequence for Skipped<S> {
    type Item = S::Item;
    #[track_caller]
    fn count(&self) -> Val<usize> {
        self.items.count().saturating_sub(self.first)
    }
    #[track_caller]
    fn item(&self, index: Val<usize>) -> S::Item {
        self.items.item(index + self.first)
    }
}

impl<S: Sequence> Sequence for Taken<S> {
    type Item = S::Item;
    #[track_caller]
    fn count(&self) -> Val<usize> {
        self.items.count().min(self.most)
    }
    #[track_caller]
    fn item(&self, index: Val<usize>) -> S::Item {
        self.items.item(index)
    }
}

impl<T: Stored, S: Sequence<Item = &'static Val<T>>> Sequence for Copies<S> {
    type Item = Val<T>;
    fn count(&self) -> Val<usize> {
        self.items.count()
    }
    #[track_caller]
    fn item(&self, index: Val<usize>) -> Val<T> {
        *self.items.item(index)
    }
}

impl<S: Sequence<Item: Staged>, R: Sequence<Item = S::Item>> Sequence for Chained<S, R> {
    type Item = S::Item;
    #[track_caller]
    fn count(&self) -> Val<usize> {
        self.first.count() + self.then.count()
    }
    #[track_caller]
    fn item(&self, index: Val<usize>) -> S::Item {
        let first = self.first.count();
        let flow = lt(index, first).begin();
        let merge = flow.merge();
        if flow.then() {
            merge.put(self.first.item(index));
        }
        if flow.otherwise() {
            merge.put(self.then.item(index - first));
        }
        flow.end();
        merge.take()
    }
}

impl<T: Int> Sequence for RunRange<T> {
    type Item = Val<T>;
    #[track_caller]
    fn count(&self) -> Val<usize> {
        self.length()
    }
    #[track_caller]
    fn item(&self, index: Val<usize>) -> Val<T> {
        self.element(index)
    }
}

/// What `zip` and `chain` take besides iterators.
pub trait IntoSequence {
    /// The sequence of its items.
    type Sequence: Sequence;
    /// The items.
    fn into_sequence(self) -> Self::Sequence;
}

impl<S: Sequence> IntoSequence for RunIter<S> {
    type Sequence = S;
    fn into_sequence(self) -> S {
        self.0
    }
}

impl<T: Int> IntoSequence for RunRange<T> {
    type Sequence = RunRange<T>;
    fn into_sequence(self) -> RunRange<T> {
        self
    }
}

impl<T: Stored> IntoSequence for Slice<T> {
    type Sequence = Elements<Slice<T>, T>;
    fn into_sequence(self) -> Self::Sequence {
        self.iter().0
    }
}

impl<T: Stored> IntoSequence for SliceMut<T> {
    type Sequence = Elements<SliceMut<T>, T>;
    fn into_sequence(self) -> Self::Sequence {
        self.iter().0
    }
}

/// A range is an iterator too, besides the head of a loop.
impl<T: Int> RunRange<T> {
    /// Elements with their indices.
    pub fn enumerate(self) -> RunIter<Enumerated<Self>> {
        RunIter(self).enumerate()
    }

    /// Elements together with the items of an iterator, as long as both have some.
    pub fn zip<R: IntoSequence>(self, other: R) -> RunIter<Zipped<Self, R::Sequence>> {
        RunIter(self).zip(other)
    }

    /// The elements, and behind them the items of an iterator.
    pub fn chain<R: IntoSequence<Sequence: Sequence<Item = Val<T>>>>(
        self,
        other: R,
    ) -> RunIter<Chained<Self, R::Sequence>> {
        RunIter(self).chain(other)
    }

    /// What a function makes of the elements.
    pub fn map<R, F: Fn(Val<T>) -> R>(self, make: F) -> RunIter<Mapped<Self, F>> {
        RunIter(self).map(make)
    }

    /// The elements but the first ones.
    #[track_caller]
    pub fn skip(self, first: impl IntoVal<usize>) -> RunIter<Skipped<Self>> {
        RunIter(self).skip(first)
    }

    /// The first elements.
    #[track_caller]
    pub fn take(self, most: impl IntoVal<usize>) -> RunIter<Taken<Self>> {
        RunIter(self).take(most)
    }

    /// The number of elements.
    #[track_caller]
    pub fn count(self) -> Val<usize> {
        self.length()
    }

    /// What a function makes of an initial value and all elements, one after the other.
    #[track_caller]
    pub fn fold<R: Staged>(self, init: R, step: impl FnMut(R, Val<T>) -> R) -> R {
        RunIter(self).fold(init, step)
    }

    /// Does something with each element.
    #[track_caller]
    pub fn for_each(self, act: impl FnMut(Val<T>)) {
        RunIter(self).for_each(act);
    }

    /// The sum of the elements.
    #[track_caller]
    pub fn sum<R: OfItems<Val<T>>>(self) -> R {
        RunIter(self).sum()
    }

    /// The product of the elements.
    #[track_caller]
    pub fn product<R: OfItems<Val<T>>>(self) -> R {
        RunIter(self).product()
    }
}
