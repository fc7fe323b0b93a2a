//! `x[a..b]`: parts of memory and of arrays.

use std::ops::{
    Range, RangeBounds, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive,
};
use std::slice::SliceIndex;

use super::element::Stored;
use super::memory::{Slice, SliceMut};
use super::place::Place;
use super::ranges::RunRange;
use super::staged::Staged;
use super::val::Val;

/// What `x[range]` borrows from.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no parts `[{R}]` in a kernel",
    note = "slices take ranges of `usize`; arrays take ranges of the host, since the length of an \
            array's part is known to the compiler"
)]
pub trait Sliced<R> {
    /// The part.
    type Part<'a>
    where
        Self: 'a;
    /// Borrows the part.
    fn sliced(&self, range: R) -> Self::Part<'_>;
}

/// `&x[range]`.
#[track_caller]
pub fn sliced<R, X: Sliced<R>>(x: &X, range: R) -> X::Part<'_> {
    x.sliced(range)
}

/// A part that `&x[range]` borrows: of memory that may change, too, it is a `&[T]`.
pub trait SharedPart {
    /// The part as what cannot change.
    type Shared;
    /// Borrows it so.
    fn shared(self) -> Self::Shared;
}

/// `&x[range]`, where `&mut x[range]` could be.
pub fn shared_part<P: SharedPart>(part: P) -> P::Shared {
    part.shared()
}

impl<T: Stored> SharedPart for SliceMut<T> {
    type Shared = Slice<T>;
    fn shared(self) -> Slice<T> {
        self.as_slice()
    }
}

impl<T: Stored> SharedPart for Slice<T> {
    type Shared = Slice<T>;
    fn shared(self) -> Slice<T> {
        self
    }
}

impl<'a, S> SharedPart for &'a [S] {
    type Shared = &'a [S];
    fn shared(self) -> &'a [S] {
        self
    }
}

impl<S, R: SliceIndex<[S], Output = [S]>, const N: usize> Sliced<R> for [S; N] {
    type Part<'a>
        = &'a [S]
    where
        Self: 'a;
    fn sliced(&self, range: R) -> &[S] {
        &self[range]
    }
}

impl<S, R: SliceIndex<[S], Output = [S]>> Sliced<R> for Vec<S> {
    type Part<'a>
        = &'a [S]
    where
        Self: 'a;
    fn sliced(&self, range: R) -> &[S] {
        &self[range]
    }
}

impl<'s, S, R: SliceIndex<[S], Output = [S]>> Sliced<R> for &'s [S] {
    type Part<'a>
        = &'s [S]
    where
        Self: 'a;
    fn sliced(&self, range: R) -> &'s [S] {
        &self[range]
    }
}

/// A part of a variable: of what it holds now. Rust forbids changing it while the part is in use.
impl<S: Staged + 'static, R: SliceIndex<[S], Output = [S]>, const N: usize> Sliced<R>
    for Place<[S; N]>
{
    type Part<'a> = &'static [S];
    #[track_caller]
    fn sliced(&self, range: R) -> &'static [S] {
        // Handles of values: a few bytes for each part that kernels take, never freed.
        let values: &'static [S; N] = Box::leak(Box::new(self.get()));
        &values[range]
    }
}

/// A range of indices, of the host or not, of which ends may be missing.
pub trait Bounds {
    /// The first index, and the one after the last, given the length.
    fn bounds(self, len: Val<usize>) -> (Val<usize>, Val<usize>);
}

impl Bounds for RunRange<usize> {
    #[track_caller]
    fn bounds(self, _: Val<usize>) -> (Val<usize>, Val<usize>) {
        self.ends()
    }
}

macro_rules! host_bounds {
    ($($ty:ty),*) => {$(
        impl Bounds for $ty {
            #[track_caller]
            fn bounds(self, len: Val<usize>) -> (Val<usize>, Val<usize>) {
                use std::ops::Bound::{Excluded, Included, Unbounded};
                let start: Val<usize> = match RangeBounds::<usize>::start_bound(&self) {
                    Included(&i) => i.into(),
                    Excluded(&i) => (i + 1).into(),
                    Unbounded => 0.into(),
                };
                let end: Val<usize> = match RangeBounds::<usize>::end_bound(&self) {
                    Included(&i) => (i + 1).into(),
                    Excluded(&i) => i.into(),
                    Unbounded => len,
                };
                (start, end)
            }
        }
    )*};
}

host_bounds!(
    Range<usize>,
    RangeInclusive<usize>,
    RangeFrom<usize>,
    RangeTo<usize>,
    RangeToInclusive<usize>,
    RangeFull
);

impl Bounds for RangeFrom<Val<usize>> {
    fn bounds(self, len: Val<usize>) -> (Val<usize>, Val<usize>) {
        (self.start, len)
    }
}

impl Bounds for RangeTo<Val<usize>> {
    #[track_caller]
    fn bounds(self, _: Val<usize>) -> (Val<usize>, Val<usize>) {
        (0.into(), self.end)
    }
}

impl Bounds for RangeToInclusive<Val<usize>> {
    #[track_caller]
    fn bounds(self, _: Val<usize>) -> (Val<usize>, Val<usize>) {
        (0.into(), self.end + 1)
    }
}

macro_rules! memory {
    ($($name:ident),*) => {$(
        impl<T: Stored, R: Bounds> Sliced<R> for $name<T> {
            type Part<'a> = $name<T>;
            #[track_caller]
            fn sliced(&self, range: R) -> $name<T> {
                let (start, end) = range.bounds(self.len());
                self.part(start, end)
            }
        }
    )*};
}

memory!(Slice, SliceMut);
