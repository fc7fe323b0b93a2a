//! Indexing: `x[i]` and `x[i] = v`, checked unless asked for otherwise.

use kernelsmith_ir::attr::{Attr, CacheHint, Eviction};
use kernelsmith_ir::{Opcode, Scalar, Value};

use super::element::{Element, Stored};
use super::memory::{Slice, SliceMut};
use super::place::Place;
use super::shared::Shared;
use super::stage::{build, fail};
use super::staged::Staged;
use super::val::{IntoStaged, IntoVal, Val};

/// What can index: `usize` or `u32` when the kernel runs, `usize` on the host.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot index memory in a kernel",
    note = "indices are `usize` or `u32`; convert with `as usize`, and begin counters with `0usize`"
)]
pub trait KernelIndex: Copy {
    /// The index, if it is known while staging.
    fn host(self) -> Option<usize>;
    /// The index as a run-time value.
    fn value(self) -> Val<usize>;
}

impl KernelIndex for usize {
    fn host(self) -> Option<usize> {
        Some(self)
    }
    #[track_caller]
    fn value(self) -> Val<usize> {
        self.into()
    }
}

impl KernelIndex for Val<usize> {
    fn host(self) -> Option<usize> {
        None
    }
    fn value(self) -> Val<usize> {
        self
    }
}

impl KernelIndex for Val<u32> {
    fn host(self) -> Option<usize> {
        None
    }
    #[track_caller]
    fn value(self) -> Val<usize> {
        Val::from_id(build(|b| b.cast(self.id, Scalar::U64)))
    }
}

/// The address of one element in memory, already checked.
pub struct Slot<T: Element> {
    address: Value,
    ty: std::marker::PhantomData<T>,
}

impl<T: Element> Clone for Slot<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Element> Copy for Slot<T> {}

const fn hint(eviction: Eviction) -> CacheHint {
    match eviction {
        Eviction::Normal => CacheHint::Normal,
        Eviction::First => CacheHint::EvictFirst,
        Eviction::Last => CacheHint::EvictLast,
    }
}

impl<T: Element> Slot<T> {
    pub(crate) fn new(address: Value) -> Slot<T> {
        Slot { address, ty: std::marker::PhantomData }
    }

    pub(crate) fn address(&self) -> Value {
        self.address
    }

    /// Reads the element.
    #[track_caller]
    pub fn get(&self) -> Val<T> {
        Val::from_id(build(|b| b.load(self.address, T::TYPE.into())))
    }

    /// Reads the element, and says how long the L2 cache keeps it: only a hint, which NVIDIA's GPUs take
    /// from sm_80 on for global memory.
    #[track_caller]
    pub fn get_keeping(&self, eviction: Eviction) -> Val<T> {
        let attr = Attr::Mem { align: T::TYPE.size(), cache: hint(eviction) };
        Val::from_id(build(|b| b.emit1(Opcode::Load, attr, &[self.address], T::TYPE.into())))
    }

    /// Writes the element, and says how long the L2 cache keeps it, as
    /// [`get_keeping`](Slot::get_keeping).
    #[track_caller]
    pub fn set_keeping(&self, value: Val<T>, eviction: Eviction) {
        let attr = Attr::Mem { align: T::TYPE.size(), cache: hint(eviction) };
        build(|b| b.emit(Opcode::Store, attr, &[self.address, value.id], &[]));
    }

    /// Reads the element, which no other thread of the multiprocessor wants: only a hint not to keep it in the
    /// L1 cache, which NVIDIA's GPUs take for global memory.
    #[track_caller]
    pub fn get_past_l1(&self) -> Val<T> {
        let attr = Attr::Mem { align: T::TYPE.size(), cache: CacheHint::PastL1 };
        Val::from_id(build(|b| b.emit1(Opcode::Load, attr, &[self.address], T::TYPE.into())))
    }

    /// Writes the element.
    #[track_caller]
    pub fn set(&self, value: Val<T>) {
        build(|b| b.store(self.address, value.id));
    }

    /// Writes the element, which nobody will read soon.
    #[track_caller]
    pub fn set_streaming(&self, value: Val<T>) {
        let attr = Attr::Mem { align: T::TYPE.size(), cache: CacheHint::Streaming };
        build(|b| b.emit(Opcode::Store, attr, &[self.address, value.id], &[]));
    }

    /// Writes a value that has a type of its own: a host number becomes a run-time one.
    #[track_caller]
    pub fn set_typed<V: IntoVal<T>>(&self, value: V) {
        self.set(value.into_val());
    }

    /// Writes `new` if it is not the `old` that was read from here.
    #[track_caller]
    pub fn write_back(&self, old: &Val<T>, new: &Val<T>) {
        if old.id != new.id {
            self.set(*new);
        }
    }
}

/// The base address and length of something that holds elements in memory.
pub trait Memory<T: Element> {
    /// Address of the first element.
    fn base(&self) -> Value;
    /// Number of elements.
    fn length(&self) -> Val<usize>;
}

/// The slot of an element; reports an error and ends the thread if it is out of bounds.
#[track_caller]
pub(crate) fn checked<T: Element>(memory: &impl Memory<T>, index: impl KernelIndex) -> Slot<T> {
    let (index, len) = (index.value(), memory.length());
    Slot::new(build(|b| {
        b.check_bounds(index.id, len.id);
        b.ptr_add(memory.base(), index.id)
    }))
}

/// The slot of an element that the caller promises is in bounds.
#[track_caller]
pub(crate) fn unchecked<T: Element>(memory: &impl Memory<T>, index: impl KernelIndex) -> Slot<T> {
    let index = index.value();
    Slot::new(build(|b| b.ptr_add(memory.base(), index.id)))
}

/// `x[i]` as a value.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be indexed by `{I}` in a kernel",
    note = "indices are `usize` or `u32`; views of N dimensions take `[[i, j]]`"
)]
pub trait At<I> {
    /// The element's type.
    type Out;
    /// The element.
    fn at(&self, index: I) -> Self::Out;
}

/// `x[i]` on the left of an assignment.
#[diagnostic::on_unimplemented(
    message = "elements of `{Self}` cannot be assigned in a kernel",
    note = "take the parameter as `&mut [T]`; make arrays variables with `let mut`"
)]
pub trait AtMut<I> {
    /// The place of the element.
    type Slot;
    /// The place of the element.
    fn slot(&self, index: I) -> Self::Slot;
}

macro_rules! memories {
    ($($memory:ident: $bound:ident),*) => {$(
        impl<T: $bound, I: KernelIndex> At<I> for $memory<T> {
            type Out = Val<T>;
            #[track_caller]
            fn at(&self, index: I) -> Val<T> {
                checked(self, index).get()
            }
        }
    )*};
}

memories!(Slice: Stored, SliceMut: Stored, Shared: Element);

impl<T: Stored, I: KernelIndex> AtMut<I> for SliceMut<T> {
    type Slot = Slot<T>;
    #[track_caller]
    fn slot(&self, index: I) -> Slot<T> {
        checked(self, index)
    }
}

impl<T: Element, I: KernelIndex> AtMut<I> for Shared<T> {
    type Slot = Slot<T>;
    #[track_caller]
    fn slot(&self, index: I) -> Slot<T> {
        checked(self, index)
    }
}

impl<X: Clone, const N: usize> At<usize> for [X; N] {
    type Out = X;
    #[track_caller]
    fn at(&self, index: usize) -> X {
        match self.get(index) {
            Some(x) => x.clone(),
            None => fail(format!(
                "index out of bounds: the index is {index} but the array has {N} elements"
            )),
        }
    }
}

/// A run-time index needs memory to index into; the elements may be of the host.
macro_rules! run_time_index {
    ($($index:ty),*) => {$(
        impl<X: IntoStaged + Clone, const N: usize> At<Val<$index>> for [X; N] {
            type Out = X::Staged;
            #[track_caller]
            fn at(&self, index: Val<$index>) -> X::Staged {
                let elements = std::array::from_fn(|i| self[i].clone().into_staged());
                Place::<[X::Staged; N]>::new("array", elements).at(index).get()
            }
        }
    )*};
}

run_time_index!(usize, u32);

impl<S: Clone> At<usize> for [S] {
    type Out = S;
    fn at(&self, index: usize) -> S {
        self[index].clone()
    }
}

impl<S: Clone> At<usize> for Vec<S> {
    type Out = S;
    fn at(&self, index: usize) -> S {
        self[index].clone()
    }
}

impl<I, X: At<I> + ?Sized> At<I> for &X {
    type Out = X::Out;
    #[track_caller]
    fn at(&self, index: I) -> X::Out {
        (**self).at(index)
    }
}

impl<S: Staged, const N: usize, I: KernelIndex> AtMut<I> for Place<[S; N]> {
    type Slot = Place<S>;
    #[track_caller]
    fn slot(&self, index: I) -> Place<S> {
        Place::at(self, index)
    }
}

/// `x[i]` as a value.
#[track_caller]
pub fn index<I, X: At<I> + ?Sized>(x: &X, index: I) -> X::Out {
    x.at(index)
}

/// The place of `x[i]`.
#[track_caller]
pub fn slot<I, X: AtMut<I> + ?Sized>(x: &X, index: I) -> X::Slot {
    x.slot(index)
}
