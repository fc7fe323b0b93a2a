//! The smallest and largest of what an iterator gives, and what methods with the names of iterators'
//! are called on.

use std::cell::Cell;

use super::compare::{gt, lt};
use super::element::Int;
use super::iter::RunIter;
use super::option::RunOption;
use super::place::Place;
use super::ranges::RunRange;
use super::search::{Items, Source, when};
use super::staged::Staged;
use super::val::Val;

/// Items of which there is a smallest and a largest.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no `min` and `max` in kernels",
    note = "integers have; for floats write `fold(f32::INFINITY, f32::min)`"
)]
pub trait Extreme<L>: Sized {
    /// `Option` of the host or `RunOption`.
    type Found;
    /// The smallest.
    fn min(items: L) -> Self::Found;
    /// The largest.
    fn max(items: L) -> Self::Found;
}

/// The last of those items that are better than all before.
#[track_caller]
fn best<L: Source<Item: Staged>>(
    items: L,
    mut better: impl FnMut(&L::Item, &L::Item) -> Val<bool>,
) -> RunOption<L::Item> {
    let found = Place::new("found", RunOption::none());
    Items(items).for_each(|item| {
        let so_far: RunOption<L::Item> = found.get();
        let is_best = so_far.is_none() | better(&item, &so_far.value());
        when(is_best, || found.set(RunOption::some(item)));
    });
    found.get()
}

impl<'a, T: Int, L: Source<Item = &'a Val<T>>> Extreme<L> for &'a Val<T> {
    type Found = RunOption<&'a Val<T>>;
    #[track_caller]
    fn min(items: L) -> RunOption<&'a Val<T>> {
        best(items, |new, old| lt(**new, **old))
    }
    #[track_caller]
    fn max(items: L) -> RunOption<&'a Val<T>> {
        best(items, |new, old| gt(**new, **old))
    }
}

impl<T: Int, L: Source<Item = Val<T>>> Extreme<L> for Val<T> {
    type Found = RunOption<Val<T>>;
    #[track_caller]
    fn min(items: L) -> RunOption<Val<T>> {
        best(items, |new, old| lt(*new, *old))
    }
    #[track_caller]
    fn max(items: L) -> RunOption<Val<T>> {
        best(items, |new, old| gt(*new, *old))
    }
}

macro_rules! host_extremes {
    ($($ty:ty),*) => {$(
        impl<L: Iterator<Item = $ty>> Extreme<L> for $ty {
            type Found = Option<$ty>;
            fn min(items: L) -> Option<$ty> {
                items.min()
            }
            fn max(items: L) -> Option<$ty> {
                items.max()
            }
        }
        impl<'a, L: Iterator<Item = &'a $ty>> Extreme<L> for &'a $ty {
            type Found = Option<&'a $ty>;
            fn min(items: L) -> Option<&'a $ty> {
                items.min()
            }
            fn max(items: L) -> Option<&'a $ty> {
                items.max()
            }
        }
    )*};
}

host_extremes!(bool, i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize);

/// What a method is called on whose name iterators have: an iterator of the host gets the adaptors
/// of this module, all else stays what it is.
pub struct Receiver<X>(Cell<Option<X>>);

impl<X> Receiver<X> {
    /// Wraps what the method is called on.
    pub fn new(x: X) -> Receiver<X> {
        Receiver(Cell::new(Some(x)))
    }

    fn unwrapped(&self) -> X {
        self.0.take().expect("asked for once")
    }
}

/// An iterator.
pub trait IteratorReceiver<I> {
    /// With adaptors that take run-time conditions.
    fn receiver(&self) -> Items<I>;
}

impl<I: Iterator> IteratorReceiver<I> for Receiver<I> {
    fn receiver(&self) -> Items<I> {
        Items(self.unwrapped())
    }
}

impl<S> IteratorReceiver<RunIter<S>> for Receiver<RunIter<S>> {
    fn receiver(&self) -> Items<RunIter<S>> {
        Items(self.unwrapped())
    }
}

impl<T: Int> IteratorReceiver<RunRange<T>> for Receiver<RunRange<T>> {
    fn receiver(&self) -> Items<RunRange<T>> {
        Items(self.unwrapped())
    }
}

/// Anything else.
pub trait OtherReceiver<X> {
    /// As it is.
    fn receiver(&self) -> X;
}

impl<X> OtherReceiver<X> for &Receiver<X> {
    fn receiver(&self) -> X {
        self.unwrapped()
    }
}
