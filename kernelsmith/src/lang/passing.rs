//! What device functions take for `&[T]` and `&mut [T]`: memory, and arrays of the kernel.
//!
//! A slice is an address and a length. An array has no address: its elements are values, which the
//! passes keep in registers. Passed as a slice, it becomes local memory of the thread; what `&mut [T]`
//! has changed there is read back where the function ends.

use kernelsmith_ir::attr::Attr;
use kernelsmith_ir::{Opcode, Space, Type, Value};

use super::element::Stored;
use super::index::{KernelIndex, Memory, checked};
use super::memory::{Slice, SliceMut};
use super::place::Place;
use super::shared::Shared;
use super::stage::build;
use super::staged::Staged;
use super::val::Val;

/// What can be passed for `&[T]`.
#[diagnostic::on_unimplemented(
    message = "expected a slice of `{T}`, found `{Self}`",
    note = "slices are memory (`&[T]`, `&mut [T]`, shared arrays) and borrowed arrays (`&x`, `&x[1..3]`)"
)]
pub trait IntoSlice<T: Stored> {
    /// The slice.
    fn into_slice(self) -> Slice<T>;
}

/// What can be passed for `&mut [T]`.
#[diagnostic::on_unimplemented(
    message = "expected a mutable slice of `{T}`, found `{Self}`",
    note = "slices are memory (`&mut [T]`, shared arrays) and arrays of variables (`&mut x`, \
            `&mut x[1..3]`)"
)]
pub trait IntoSliceMut<T: Stored>: Sized {
    /// The slice.
    fn slice(&self) -> SliceMut<T>;
    /// Takes back what was changed, where the function ends.
    fn take_back(self, slice: SliceMut<T>);
}

/// Local memory with some elements in it.
#[track_caller]
fn local<T: Stored>(elements: &[Val<T>]) -> SliceMut<T> {
    let base = build(|b| {
        let id = b.local(T::TYPE, elements.len().max(1) as u32);
        let ty = Type::Ptr(Space::Local, T::TYPE);
        b.emit1(Opcode::LocalAddr, Attr::Local(id), &[], ty)
    });
    let slice = SliceMut::new(base, Val::from(elements.len()));
    for (i, element) in elements.iter().enumerate() {
        build(|b| {
            let address = address(b, base, i);
            b.store(address, element.id);
        });
    }
    slice
}

fn address(b: &mut kernelsmith_ir::Builder, base: Value, i: usize) -> Value {
    let index = kernelsmith_ir::attr::Const::int(kernelsmith_ir::Scalar::U64, i as i128);
    let index = b.constant(index);
    b.ptr_add(base, index)
}

#[track_caller]
fn read_back<T: Stored>(slice: SliceMut<T>, elements: &mut [Val<T>]) {
    for (i, element) in elements.iter_mut().enumerate() {
        *element = Val::from_id(build(|b| {
            let address = address(b, slice.base(), i);
            b.load(address, T::TYPE.into())
        }));
    }
}

impl<T: Stored> IntoSlice<T> for Slice<T> {
    fn into_slice(self) -> Slice<T> {
        self
    }
}

impl<T: Stored> IntoSlice<T> for SliceMut<T> {
    fn into_slice(self) -> Slice<T> {
        self.as_slice()
    }
}

impl<T: Stored> IntoSliceMut<T> for SliceMut<T> {
    fn slice(&self) -> SliceMut<T> {
        *self
    }
    fn take_back(self, _: SliceMut<T>) {}
}

/// Borrowed handles of memory are the memory.
macro_rules! borrowed {
    ($($memory:ident),*) => {$(
        impl<T: Stored> IntoSlice<T> for &$memory<T> {
            fn into_slice(self) -> Slice<T> {
                SliceMut::new(self.base(), self.length()).as_slice()
            }
        }
    )*};
}

borrowed!(Slice, SliceMut, Shared);

impl<T: Stored> IntoSliceMut<T> for &mut Shared<T> {
    fn slice(&self) -> SliceMut<T> {
        SliceMut::new(self.base(), self.length())
    }
    fn take_back(self, _: SliceMut<T>) {}
}

impl<T: Stored, const N: usize> IntoSlice<T> for &[Val<T>; N] {
    #[track_caller]
    fn into_slice(self) -> Slice<T> {
        local(self).as_slice()
    }
}

impl<T: Stored> IntoSlice<T> for &[Val<T>] {
    #[track_caller]
    fn into_slice(self) -> Slice<T> {
        local(self).as_slice()
    }
}

impl<T: Stored> IntoSlice<T> for &Vec<Val<T>> {
    #[track_caller]
    fn into_slice(self) -> Slice<T> {
        local(self).as_slice()
    }
}

/// A table of the host.
impl<T: Stored, const N: usize> IntoSlice<T> for &[T; N] {
    #[track_caller]
    fn into_slice(self) -> Slice<T> {
        local(&self.map(Val::from)).as_slice()
    }
}

impl<T: Stored, const N: usize> IntoSliceMut<T> for &mut [Val<T>; N] {
    #[track_caller]
    fn slice(&self) -> SliceMut<T> {
        local(&self[..])
    }
    #[track_caller]
    fn take_back(self, slice: SliceMut<T>) {
        read_back(slice, self);
    }
}

impl<T: Stored> IntoSliceMut<T> for &mut Vec<Val<T>> {
    #[track_caller]
    fn slice(&self) -> SliceMut<T> {
        local(self)
    }
    #[track_caller]
    fn take_back(self, slice: SliceMut<T>) {
        read_back(slice, self);
    }
}

/// `&mut x[a..b]` of an array in a variable, as an argument.
pub struct PlaceRange<S: Staged>(Vec<Place<S>>);

/// The elements of a range of a variable's array.
#[track_caller]
pub fn place_range<S: Staged, const N: usize>(
    place: &Place<[S; N]>,
    range: impl std::slice::SliceIndex<[Place<S>], Output = [Place<S>]>,
) -> PlaceRange<S> {
    let elements: Vec<_> = place.elements().collect();
    PlaceRange(elements[range].to_vec())
}

impl<S: Staged> PlaceRange<S> {
    /// Reads the elements.
    #[track_caller]
    pub fn get(&self) -> Vec<S> {
        self.0.iter().map(Place::get).collect()
    }

    /// Writes what has changed.
    #[track_caller]
    pub fn write_back(&self, old: &[S], new: &[S]) {
        for ((place, old), new) in self.0.iter().zip(old).zip(new) {
            place.write_back(old, new);
        }
    }
}

impl<T: Stored> SliceMut<T> {
    /// Exchanges two elements.
    #[track_caller]
    pub fn swap(&self, i: impl KernelIndex, j: impl KernelIndex) {
        let (a, b) = (checked(self, i), checked(self, j));
        let (x, y) = (a.get(), b.get());
        a.set(y);
        b.set(x);
    }

    /// Sets all elements.
    #[track_caller]
    pub fn fill(&self, value: Val<T>) {
        self.iter_mut().for_each(|slot| slot.set(value));
    }
}
