//! Iterators over what is known when the kernel runs: memory, and ranges that are more than the
//! head of a loop.

use super::compare::ne;
use super::element::{Element, Int, Stored};
use super::index::{Memory, Slot, unchecked};
use super::integer::int;
use super::option::RunOption;
use super::overflow::limits;
use super::place::Place;
use super::ranges::{IntoLoop, RunLoop, RunRange, range};
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

/// The type of numbers of a sequence.
type NumberOf<S> = <<S as Sequence>::Item as Number>::Of;

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

macro_rules! adaptors {
    ($($(#[$meta:meta])* $name:ident<$($param:ident),*> { $($field:ident: $ty:ty),* };)*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy)]
        pub struct $name<$($param),*> {
            $($field: $ty),*
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

/// A range as a sequence.
impl Sequence for RunRange<usize> {
    type Item = Val<usize>;
    #[track_caller]
    fn count(&self) -> Val<usize> {
        self.length()
    }
    #[track_caller]
    fn item(&self, index: Val<usize>) -> Val<usize> {
        self.element(index)
    }
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
    pub fn zip<R: Sequence>(self, other: RunIter<R>) -> RunIter<Zipped<S, R>> {
        RunIter(Zipped { left: self.0, right: other.0 })
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

    /// What a function makes of an initial value and all items, one after the other.
    #[track_caller]
    pub fn fold<R: Staged>(self, init: R, step: impl FnOnce(R, S::Item) -> R) -> R {
        let result = Place::new("fold", init);
        self.for_each(|item| result.set(step(result.get(), item)));
        result.get()
    }

    /// Does something with each item.
    #[track_caller]
    pub fn for_each(self, act: impl FnOnce(S::Item)) {
        let mut items = self.into_loop();
        if let Some(item) = items.next_item() {
            act(item);
        }
        items.end();
    }

    /// Whether a condition holds for some item.
    #[track_caller]
    pub fn any(self, holds: impl FnOnce(S::Item) -> Val<bool>) -> Val<bool> {
        self.position(holds).is_some()
    }

    /// Whether a condition holds for all items.
    #[track_caller]
    pub fn all(self, holds: impl FnOnce(S::Item) -> Val<bool>) -> Val<bool> {
        self.position(|item| !holds(item)).is_none()
    }

    /// The index of the first item for which a condition holds.
    #[track_caller]
    pub fn position(self, holds: impl FnOnce(S::Item) -> Val<bool>) -> RunOption<Val<usize>> {
        use super::control::{Condition, Jump};
        let found = Place::new("position", RunOption::none());
        let mut items = self.enumerate().into_loop();
        if let Some((index, item)) = items.next_item() {
            let flow = holds(item).begin();
            if flow.then() {
                found.set(RunOption::some(index));
                items.brk();
            }
            flow.otherwise();
            flow.end();
        }
        items.end();
        found.get()
    }
}

/// A number, or a reference to one.
pub trait Number {
    /// The number's type.
    type Of: Int;
    /// The number.
    fn number(self) -> Val<Self::Of>;
}

impl<T: Int> Number for Val<T> {
    type Of = T;
    fn number(self) -> Val<T> {
        self
    }
}

impl<T: Int> Number for &Val<T> {
    type Of = T;
    fn number(self) -> Val<T> {
        *self
    }
}

impl<S: Sequence> RunIter<S>
where
    S::Item: Number,
{
    /// The smallest item, if there is one.
    #[track_caller]
    pub fn min(self) -> RunOption<Val<NumberOf<S>>> {
        self.extreme(limits(NumberOf::<S>::TYPE).0, |a, b| a.min(b))
    }

    /// The largest item, if there is one.
    #[track_caller]
    pub fn max(self) -> RunOption<Val<NumberOf<S>>> {
        self.extreme(limits(NumberOf::<S>::TYPE).1, |a, b| a.max(b))
    }

    #[track_caller]
    fn extreme(
        self,
        first: i128,
        better: impl FnOnce(Val<NumberOf<S>>, Val<NumberOf<S>>) -> Val<NumberOf<S>>,
    ) -> RunOption<Val<NumberOf<S>>> {
        let some = ne(self.0.count(), 0usize);
        let found = self.fold(int(first), |so_far, item| better(so_far, item.number()));
        RunOption::when(some, found)
    }
}

impl<T: Stored, S: Sequence<Item = &'static Val<T>>> RunIter<S> {
    /// The items themselves, rather than references.
    pub fn copied(self) -> RunIter<Copies<S>> {
        RunIter(Copies { items: self.0 })
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

impl<S> super::control::Jump for IterLoop<S> {
    fn break_label(&self) -> kernelsmith_ir::Label {
        self.indices.break_label()
    }
    fn continue_label(&self) -> (kernelsmith_ir::Label, bool) {
        self.indices.continue_label()
    }
}
