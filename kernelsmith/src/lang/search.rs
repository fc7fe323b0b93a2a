//! Iterators whose adaptors ask conditions that only the running kernel knows: `filter`, `any`,
//! `position`, `max` over memory, run-time ranges and arrays alike.
//!
//! An iterator of the host has Rust's own adaptors. Those whose closure gives a `bool` are the ones
//! that a `Val<bool>` changes: they are loops of the kernel then, of which each round may go on or
//! end. What the closure gives decides, through [`Asks`] and [`Keeps`].

use kernelsmith_ir::Opcode;

use super::compare::and;
use super::control::{Condition, Jump};
use super::element::{Element, Num};
use super::extremes::Extreme;

use super::ops::{of_none, reduce_in_loop};
use super::option::RunOption;
use super::place::Place;
use super::ranges::IntoLoop;
use super::staged::Staged;
use super::val::Val;

/// The state of a loop.
pub trait Rounds: Jump {
    /// What it goes over.
    type Item;
    /// The next item that is to be staged.
    fn next_item(&mut self) -> Option<Self::Item>;
    /// Ends the loop.
    fn end(self);
}

/// What a loop can go over, with what it gives.
pub trait Source: IntoLoop<Loop: Rounds<Item = Self::Item>> + Sized {
    /// What it goes over.
    type Item;
}

impl<L: IntoLoop<Loop: Rounds>> Source for L {
    type Item = <L::Loop as Rounds>::Item;
}

/// An iterator of which only the running kernel knows the items.
#[derive(Clone, Copy)]
pub struct Items<L>(pub(crate) L);

impl<L: IntoLoop> IntoLoop for Items<L> {
    type Loop = L::Loop;
    #[track_caller]
    fn into_loop(self) -> L::Loop {
        self.0.into_loop()
    }
}

/// A loop with something done to its items.
pub struct Adapted<L, F> {
    items: L,
    how: F,
}

/// The state of an adapted loop.
pub struct AdaptedLoop<R, F> {
    rounds: R,
    how: F,
}

/// What adaptors do with an item: give another, or go to the next round, or end the loop.
pub trait Adapt<R: Rounds> {
    /// What becomes of an item.
    type Out;
    /// Does it.
    fn adapt(&mut self, item: R::Item, rounds: &R) -> Self::Out;
}

impl<L: Source, F: Adapt<L::Loop>> IntoLoop for Adapted<L, F> {
    type Loop = AdaptedLoop<L::Loop, F>;
    #[track_caller]
    fn into_loop(self) -> Self::Loop {
        AdaptedLoop { rounds: self.items.into_loop(), how: self.how }
    }
}

impl<R: Rounds, F: Adapt<R>> AdaptedLoop<R, F> {
    /// The next item.
    #[track_caller]
    pub fn next_item(&mut self) -> Option<F::Out> {
        let item = self.rounds.next_item()?;
        Some(self.how.adapt(item, &self.rounds))
    }

    /// Ends the loop.
    #[track_caller]
    pub fn end(self) {
        self.rounds.end();
    }
}

impl<R: Jump, F> Jump for AdaptedLoop<R, F> {
    fn break_label(&self) -> kernelsmith_ir::Label {
        self.rounds.break_label()
    }
    fn continue_label(&self) -> (kernelsmith_ir::Label, bool) {
        self.rounds.continue_label()
    }
}

impl<R: Rounds, F: Adapt<R>> Rounds for AdaptedLoop<R, F> {
    type Item = F::Out;
    #[track_caller]
    fn next_item(&mut self) -> Option<F::Out> {
        AdaptedLoop::next_item(self)
    }
    #[track_caller]
    fn end(self) {
        AdaptedLoop::end(self);
    }
}

/// Does something where a condition holds.
#[track_caller]
pub(super) fn when(condition: Val<bool>, act: impl FnOnce()) {
    let flow = condition.begin();
    if flow.then() {
        act();
    }
    flow.otherwise();
    flow.end();
}

/// Does something where a condition does not hold.
#[track_caller]
fn unless(condition: Val<bool>, act: impl FnOnce()) {
    let flow = condition.begin();
    flow.then();
    if flow.otherwise() {
        act();
    }
    flow.end();
}

/// Only the items for which a condition holds.
pub struct Filter<F>(F);

impl<R: Rounds, F: FnMut(&R::Item) -> Val<bool>> Adapt<R> for Filter<F> {
    type Out = R::Item;
    #[track_caller]
    fn adapt(&mut self, item: R::Item, rounds: &R) -> R::Item {
        unless((self.0)(&item), || rounds.cont());
        item
    }
}

/// The items before the first for which a condition does not hold.
pub struct TakeWhile<F>(F);

impl<R: Rounds, F: FnMut(&R::Item) -> Val<bool>> Adapt<R> for TakeWhile<F> {
    type Out = R::Item;
    #[track_caller]
    fn adapt(&mut self, item: R::Item, rounds: &R) -> R::Item {
        unless((self.0)(&item), || rounds.brk());
        item
    }
}

/// The items from the first on for which a condition does not hold.
pub struct SkipWhile<F>(F, Place<Val<bool>>);

impl<R: Rounds, F: FnMut(&R::Item) -> Val<bool>> Adapt<R> for SkipWhile<F> {
    type Out = R::Item;
    #[track_caller]
    fn adapt(&mut self, item: R::Item, rounds: &R) -> R::Item {
        let skips = and(self.1.get(), || (self.0)(&item));
        self.1.set(skips);
        when(skips, || rounds.cont());
        item
    }
}

/// What a function makes of the items.
pub struct Map<F>(F);

impl<R: Rounds, T, F: FnMut(R::Item) -> T> Adapt<R> for Map<F> {
    type Out = T;
    #[track_caller]
    fn adapt(&mut self, item: R::Item, _: &R) -> T {
        (self.0)(item)
    }
}

/// The values in the options that a function makes of the items.
pub struct FilterMap<F>(F);

impl<R: Rounds, S: Staged, F: FnMut(R::Item) -> RunOption<S>> Adapt<R> for FilterMap<F> {
    type Out = S;
    #[track_caller]
    fn adapt(&mut self, item: R::Item, rounds: &R) -> S {
        let made = (self.0)(item);
        unless(made.is_some(), || rounds.cont());
        made.value()
    }
}

/// Items with their numbers.
pub struct Enumerate(Place<Val<usize>>);

impl<R: Rounds> Adapt<R> for Enumerate {
    type Out = (Val<usize>, R::Item);
    #[track_caller]
    fn adapt(&mut self, item: R::Item, _: &R) -> (Val<usize>, R::Item) {
        let number = self.0.get();
        self.0.set(number + 1);
        (number, item)
    }
}

impl<L: Source> Items<L> {
    fn adapted<F>(self, how: F) -> Items<Adapted<L, F>> {
        Items(Adapted { items: self.0, how })
    }

    /// Only the items for which a condition holds.
    pub fn filter<C: Keeps<L, F>, F: FnMut(&L::Item) -> C>(self, holds: F) -> C::Filtered {
        C::filter(self.0, holds)
    }

    /// The items before the first for which a condition does not hold.
    pub fn take_while<C: Keeps<L, F>, F: FnMut(&L::Item) -> C>(self, holds: F) -> C::Taken {
        C::take_while(self.0, holds)
    }

    /// The items from the first on for which a condition does not hold.
    #[track_caller]
    pub fn skip_while<C: Keeps<L, F>, F: FnMut(&L::Item) -> C>(self, holds: F) -> C::Skipped {
        C::skip_while(self.0, holds)
    }

    /// What is in the options that a function makes of the items.
    pub fn filter_map<O: KeepsMapped<L, F>, F: FnMut(L::Item) -> O>(self, make: F) -> O::Mapped {
        O::filter_map(self.0, make)
    }

    /// What a function makes of the items.
    pub fn map<T, F: FnMut(L::Item) -> T>(self, make: F) -> Items<Adapted<L, Map<F>>> {
        self.adapted(Map(make))
    }

    /// Items with their numbers.
    #[track_caller]
    pub fn enumerate(self) -> Items<Adapted<L, Enumerate>> {
        self.adapted(Enumerate(Place::new("enumerate", Val::from(0usize))))
    }

    /// Does something with each item.
    #[track_caller]
    pub fn for_each(self, mut act: impl FnMut(L::Item)) {
        let mut rounds = self.0.into_loop();
        while let Some(item) = rounds.next_item() {
            act(item);
        }
        rounds.end();
    }

    /// What a function makes of an initial value and all items, one after the other.
    #[track_caller]
    pub fn fold<R: Staged>(self, init: R, mut step: impl FnMut(R, L::Item) -> R) -> R {
        let result = Place::new("fold", init);
        self.for_each(|item| result.set(step(result.get(), item)));
        result.get()
    }

    /// The number of items.
    #[track_caller]
    pub fn count(self) -> Val<usize> {
        self.fold(Val::from(0), |n, _| n + 1)
    }

    /// Whether a condition holds for some item.
    #[track_caller]
    pub fn any<C: Asks<L>>(self, holds: impl FnMut(L::Item) -> C) -> C {
        C::any(self.0, holds)
    }

    /// Whether a condition holds for all items.
    #[track_caller]
    pub fn all<C: Asks<L>>(self, holds: impl FnMut(L::Item) -> C) -> C {
        C::all(self.0, holds)
    }

    /// The index of the first item for which a condition holds.
    #[track_caller]
    pub fn position<C: Asks<L>>(self, holds: impl FnMut(L::Item) -> C) -> C::Index {
        C::position(self.0, holds)
    }

    /// The first item for which a condition holds.
    #[track_caller]
    pub fn find<C: Finds<L>>(self, holds: impl FnMut(&L::Item) -> C) -> C::Found {
        C::find(self.0, holds)
    }

    /// The smallest item, if there is one.
    #[track_caller]
    pub fn min<X: Extreme<L>>(self) -> X::Found
    where
        L: Source<Item = X>,
    {
        X::min(self.0)
    }

    /// The largest item, if there is one.
    #[track_caller]
    pub fn max<X: Extreme<L>>(self) -> X::Found
    where
        L: Source<Item = X>,
    {
        X::max(self.0)
    }

    /// The last item, if there is one.
    #[track_caller]
    pub fn last(self) -> RunOption<L::Item>
    where
        L::Item: Staged,
    {
        let found = Place::new("last", RunOption::none());
        self.for_each(|item| found.set(RunOption::some(item)));
        found.get()
    }

    /// The sum of the items.
    #[track_caller]
    pub fn sum<R: OfItems<L::Item>>(self) -> R {
        R::sum(self)
    }

    /// The product of the items.
    #[track_caller]
    pub fn product<R: OfItems<L::Item>>(self) -> R {
        R::product(self)
    }
}

/// The items that references refer to.
type Copied<'a, L, T> = Items<Adapted<L, Map<fn(&'a T) -> T>>>;

impl<'a, T: Staged + 'static, L: Source<Item = &'a T>> Items<L> {
    /// The items themselves, rather than references.
    pub fn copied(self) -> Copied<'a, L, T> {
        self.adapted(Map(T::clone as fn(&'a T) -> T))
    }

    /// The items themselves, rather than references.
    pub fn cloned(self) -> Copied<'a, L, T> {
        self.copied()
    }
}

/// What `sum` and `product` of items may be.
pub trait OfItems<I>: Sized {
    /// The sum.
    fn sum<L: Source<Item = I>>(items: Items<L>) -> Self;
    /// The product.
    fn product<L: Source<Item = I>>(items: Items<L>) -> Self;
}

macro_rules! reductions {
    ($($method:ident $op:ident $int:literal $float:literal;)*) => {
        impl<T: Num, I: NumberOf<T>> OfItems<I> for Val<T> {
            $(#[track_caller]
            fn $method<L: Source<Item = I>>(items: Items<L>) -> Val<T> {
                reduce_in_loop(Opcode::$op, of_none::<T>($int, $float), |step| {
                    items.for_each(|item| step(item.number_of()));
                })
            })*
        }
    };
}

reductions! {
    sum Add 0 -0.0;
    product Mul 1 1.0;
}

/// A number of a type, or a reference to one.
pub trait NumberOf<T: Element> {
    /// The number.
    fn number_of(self) -> Val<T>;
}

impl<T: Element> NumberOf<T> for Val<T> {
    fn number_of(self) -> Val<T> {
        self
    }
}

impl<T: Element> NumberOf<T> for &Val<T> {
    fn number_of(self) -> Val<T> {
        *self
    }
}

/// What a closure's condition makes of adaptors that keep some of the items.
pub trait Keeps<L, F>: Sized {
    /// Of `filter`.
    type Filtered;
    /// Of `take_while`.
    type Taken;
    /// Of `skip_while`.
    type Skipped;
    /// `filter`.
    fn filter(items: L, holds: F) -> Self::Filtered;
    /// `take_while`.
    fn take_while(items: L, holds: F) -> Self::Taken;
    /// `skip_while`.
    fn skip_while(items: L, holds: F) -> Self::Skipped;
}

impl<L: Iterator, F: FnMut(&L::Item) -> bool> Keeps<L, F> for bool {
    type Filtered = std::iter::Filter<L, F>;
    type Taken = std::iter::TakeWhile<L, F>;
    type Skipped = std::iter::SkipWhile<L, F>;
    fn filter(items: L, holds: F) -> Self::Filtered {
        items.filter(holds)
    }
    fn take_while(items: L, holds: F) -> Self::Taken {
        items.take_while(holds)
    }
    fn skip_while(items: L, holds: F) -> Self::Skipped {
        items.skip_while(holds)
    }
}

impl<L: Source, F: FnMut(&L::Item) -> Val<bool>> Keeps<L, F> for Val<bool> {
    type Filtered = Items<Adapted<L, Filter<F>>>;
    type Taken = Items<Adapted<L, TakeWhile<F>>>;
    type Skipped = Items<Adapted<L, SkipWhile<F>>>;
    fn filter(items: L, holds: F) -> Self::Filtered {
        Items(items).adapted(Filter(holds))
    }
    fn take_while(items: L, holds: F) -> Self::Taken {
        Items(items).adapted(TakeWhile(holds))
    }
    #[track_caller]
    fn skip_while(items: L, holds: F) -> Self::Skipped {
        let skips = Place::new("skip_while", Val::from(true));
        Items(items).adapted(SkipWhile(holds, skips))
    }
}

/// What a closure's option makes of `filter_map`.
pub trait KeepsMapped<L, F>: Sized {
    /// The iterator.
    type Mapped;
    /// `filter_map`.
    fn filter_map(items: L, make: F) -> Self::Mapped;
}

impl<T, L: Iterator, F: FnMut(L::Item) -> Option<T>> KeepsMapped<L, F> for Option<T> {
    type Mapped = std::iter::FilterMap<L, F>;
    fn filter_map(items: L, make: F) -> Self::Mapped {
        items.filter_map(make)
    }
}

impl<S: Staged, L: Source, F: FnMut(L::Item) -> RunOption<S>> KeepsMapped<L, F> for RunOption<S> {
    type Mapped = Items<Adapted<L, FilterMap<F>>>;
    fn filter_map(items: L, make: F) -> Self::Mapped {
        Items(items).adapted(FilterMap(make))
    }
}

/// What a closure's condition makes of questions about all items: `bool` is answered while staging.
pub trait Asks<L: Source>: Sized {
    /// Of `position`.
    type Index;
    /// `any`.
    fn any(items: L, holds: impl FnMut(L::Item) -> Self) -> Self;
    /// `all`.
    fn all(items: L, holds: impl FnMut(L::Item) -> Self) -> Self;
    /// `position`.
    fn position(items: L, holds: impl FnMut(L::Item) -> Self) -> Self::Index;
}

impl<L: Source + Iterator<Item = <L as Source>::Item>> Asks<L> for bool {
    type Index = Option<usize>;
    fn any(mut items: L, holds: impl FnMut(<L as Source>::Item) -> bool) -> bool {
        Iterator::any(&mut items, holds)
    }
    fn all(mut items: L, holds: impl FnMut(<L as Source>::Item) -> bool) -> bool {
        Iterator::all(&mut items, holds)
    }
    fn position(mut items: L, holds: impl FnMut(<L as Source>::Item) -> bool) -> Option<usize> {
        Iterator::position(&mut items, holds)
    }
}

impl<L: Source> Asks<L> for Val<bool> {
    type Index = RunOption<Val<usize>>;
    #[track_caller]
    fn any(items: L, mut holds: impl FnMut(L::Item) -> Val<bool>) -> Val<bool> {
        search(Items(items), |item| (holds(item), ())).is_some()
    }
    #[track_caller]
    fn all(items: L, mut holds: impl FnMut(L::Item) -> Val<bool>) -> Val<bool> {
        search(Items(items), |item| (!holds(item), ())).is_none()
    }
    #[track_caller]
    fn position(items: L, mut holds: impl FnMut(L::Item) -> Val<bool>) -> Self::Index {
        search(Items(items).enumerate(), |(index, item)| (holds(item), index))
    }
}

/// What a closure's condition makes of `find`.
pub trait Finds<L: Source>: Sized {
    /// What is found.
    type Found;
    /// `find`.
    fn find(items: L, holds: impl FnMut(&L::Item) -> Self) -> Self::Found;
}

impl<L: Source + Iterator<Item = <L as Source>::Item>> Finds<L> for bool {
    type Found = Option<<L as Source>::Item>;
    fn find(
        mut items: L,
        holds: impl FnMut(&<L as Source>::Item) -> bool,
    ) -> Option<<L as Source>::Item> {
        Iterator::find(&mut items, holds)
    }
}

impl<L: Source<Item: Staged>> Finds<L> for Val<bool> {
    type Found = RunOption<L::Item>;
    #[track_caller]
    fn find(items: L, mut holds: impl FnMut(&L::Item) -> Val<bool>) -> RunOption<L::Item> {
        search(Items(items), |item| (holds(&item), item))
    }
}

/// What `test` gives beside the first condition that holds.
#[track_caller]
fn search<L: Source, S: Staged>(
    items: Items<L>,
    mut test: impl FnMut(L::Item) -> (Val<bool>, S),
) -> RunOption<S> {
    let found = Place::new("found", RunOption::none());
    let mut rounds = items.0.into_loop();
    while let Some(item) = rounds.next_item() {
        let (holds, value) = test(item);
        when(holds, || {
            found.set(RunOption::some(value));
            rounds.brk();
        });
    }
    rounds.end();
    found.get()
}
