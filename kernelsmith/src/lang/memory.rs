//! Memory a kernel sees: slices of buffers, and tensor views.

use std::marker::PhantomData;

use kernelsmith_ir::attr::{Attr, Const};
use kernelsmith_ir::{Opcode, ParamKind, Scalar, Space, Target, Type, Value};

use super::atomic::Atomic;
use super::element::{Element, Num, Stored};
use super::index::{At, AtMut, KernelIndex, Memory, Slot, checked, unchecked};
use super::iter::{Elements, Places, RunIter, elements, places};
use super::place::Place;
use super::stage::{build, fail, target};
use super::staged::{Staged, next};
use super::val::{IntoVal, Val};

/// A parameter of a kernel.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a parameter of a kernel",
    note = "parameters are numbers, `&[T]`, `&mut [T]`, `&View<T, R>`, `&mut View<T, R>`, \
            `&mut Part<T, R>`, `&TensorMap<T, R>`, `&mut TensorMap<T, R>`, and host values marked \
            `#[comptime]`"
)]
pub trait Param {
    /// Declares the parameter.
    fn declare(name: &str) -> Self;
}

impl<T: Stored> Param for Val<T> {
    fn declare(name: &str) -> Val<T> {
        Val::from_id(build(|b| b.param(name, T::TYPE.into(), ParamKind::Scalar)))
    }
}

macro_rules! slices {
    ($($(#[$meta:meta])* $name:ident $kind:ident;)*) => {$(
        $(#[$meta])*
        pub struct $name<T: Stored> {
            base: Value,
            len: Value,
            ty: PhantomData<T>,
        }

        impl<T: Stored> Clone for $name<T> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<T: Stored> Copy for $name<T> {}

        impl<T: Stored> Param for $name<T> {
            fn declare(name: &str) -> Self {
                let (base, len) = build(|b| {
                    let ptr = Type::Ptr(Space::Global, T::TYPE);
                    let base = b.param(name, ptr, ParamKind::$kind);
                    (base, b.param(&format!("{name}.len"), Type::U64, ParamKind::Scalar))
                });
                $name { base, len, ty: PhantomData }
            }
        }

        impl<T: Stored> Memory<T> for $name<T> {
            fn base(&self) -> Value {
                self.base
            }
            fn length(&self) -> Val<usize> {
                Val::from_id(self.len)
            }
        }

        impl<T: Stored> $name<T> {
            /// Number of elements.
            pub fn len(&self) -> Val<usize> {
                Val::from_id(self.len)
            }

            /// Whether there are no elements.
            #[track_caller]
            pub fn is_empty(&self) -> Val<bool> {
                super::compare::eq(self.len(), 0)
            }

            /// The elements from `start` to before `end`: `&x[start..end]`, checked.
            #[track_caller]
            pub(crate) fn part(&self, start: Val<usize>, end: Val<usize>) -> Self {
                build(|b| {
                    let in_order = b.compare(Opcode::Le, start.id, end.id);
                    let inside = b.compare(Opcode::Le, end.id, self.len);
                    let good = b.same(Opcode::And, &[in_order, inside]);
                    let message = Some("the range of a slice is in order and within the slice");
                    b.check(good, kernelsmith_ir::attr::CheckKind::Assert, message);
                    let base = b.ptr_add(self.base, start.id);
                    let len = b.same(Opcode::Sub, &[end.id, start.id]);
                    $name { base, len, ty: PhantomData }
                })
            }

            /// The elements, in order.
            pub fn iter(&self) -> RunIter<Elements<Self, T>> {
                elements(*self)
            }

            /// Reads an element without a check.
            ///
            /// # Safety
            /// `index` is less than `len` on every thread that gets here.
            #[track_caller]
            pub unsafe fn get_unchecked(&self, index: impl KernelIndex) -> Val<T> {
                unchecked(self, index).get()
            }

            /// Asks for the cache line of an element to be brought closer while the kernel goes on.
            /// A hint, which needs no bounds: behind the end it does nothing. PTX brings the line to
            /// the L2 cache, the CPU too; AMD's chips of this list have no instruction for it.
            #[track_caller]
            pub fn prefetch(&self, index: impl KernelIndex) {
                prefetch(self, index.value());
            }

            /// Reads an element that no other thread of the multiprocessor wants; checked. A hint not to keep
            /// it in the L1 cache, which NVIDIA's GPUs take.
            #[track_caller]
            pub fn load_past_l1(&self, index: impl KernelIndex) -> Val<T> {
                checked(self, index).get_past_l1()
            }

            /// Reads `N` consecutive elements from `index` on with one instruction where the
            /// target has it. `index` must be a multiple of `N`, of a buffer that begins at a
            /// multiple of the vector's size (as every buffer and no sub-view does by itself).
            #[track_caller]
            pub fn load_vector<const N: usize>(&self, index: impl KernelIndex) -> [Val<T>; N] {
                let index = index.value();
                check_vector::<T, N>(self, index);
                load_vector(unchecked(self, index))
            }
        }

        impl<T: Stored> Staged for $name<T> {
            const LEAVES: usize = 2;
            type Fields = ();

            fn types(out: &mut Vec<Type>) {
                out.extend([Type::Ptr(Space::Global, T::TYPE), Type::U64]);
            }
            fn flatten(&self, out: &mut Vec<Value>) {
                out.extend([self.base, self.len]);
            }
            fn unflatten(leaves: &mut impl Iterator<Item = Value>) -> Self {
                $name { base: next(leaves), len: next(leaves), ty: PhantomData }
            }
            fn fields(_: Place<Self>) {}
        }
    )*};
}

slices! {
    /// `&[T]`: a slice of a buffer that the kernel only reads.
    Slice ReadOnly;
    /// `&mut [T]`: a slice of a buffer that this kernel alone reads and writes.
    SliceMut Exclusive;
}

impl<T: Stored> SliceMut<T> {
    /// The elements from an address on.
    pub(crate) fn new(base: Value, len: Val<usize>) -> SliceMut<T> {
        SliceMut { base, len: len.id, ty: PhantomData }
    }

    /// The same elements, to be read.
    pub(crate) fn as_slice(&self) -> Slice<T> {
        Slice { base: self.base, len: self.len, ty: PhantomData }
    }

    /// The elements, in order, to be changed: in the head of a `for`.
    pub fn iter_mut(&self) -> RunIter<Places<Self, T>> {
        places(*self)
    }

    /// Writes an element without a check.
    ///
    /// # Safety
    /// `index` is less than `len` on every thread that gets here.
    #[track_caller]
    pub unsafe fn set_unchecked(&self, index: impl KernelIndex, value: Val<T>) {
        unchecked(self, index).set(value);
    }

    /// Writes an element that nobody will read soon, past the caches where the target can; checked.
    #[track_caller]
    pub fn store_streaming(&self, index: impl KernelIndex, value: impl IntoVal<T>) {
        checked(self, index).set_streaming(value.into_val());
    }

    /// Writes `N` consecutive elements from `index` on; see `load_vector`.
    #[track_caller]
    pub fn store_vector<const N: usize>(&self, index: impl KernelIndex, values: [Val<T>; N]) {
        let index = index.value();
        check_vector::<T, N>(self, index);
        store_vector(unchecked(self, index), values);
    }

    /// The address of an element, for atomics; checked.
    #[track_caller]
    pub fn slot_at(&self, index: impl KernelIndex) -> Slot<T> {
        checked(self, index)
    }
}

impl<T: Num> SliceMut<T> {
    /// An element for atomic access; checked.
    #[track_caller]
    pub fn atomic(&self, index: impl KernelIndex) -> Atomic<T> {
        Atomic::new(checked(self, index))
    }
}

#[track_caller]
fn prefetch<T: Element>(memory: &impl Memory<T>, index: Val<usize>) {
    let inside = || Val::from_id(build(|b| b.compare(Opcode::Lt, index.id, memory.length().id)));
    prefetch_at(|| unchecked(memory, index).address(), inside);
}

/// Asks for the line at an address, if it is `inside` of what it belongs to.
#[track_caller]
fn prefetch_at(address: impl FnOnce() -> Value, inside: impl FnOnce() -> Val<bool>) {
    let ask = || {
        let at = address();
        build(|b| b.emit(Opcode::Prefetch, Attr::None, &[at], &[]));
    };
    // A CPU's prefetch ignores addresses that are none; PTX does not say so of its own.
    if target() == Target::Cpu {
        return ask();
    }
    let inside = inside();
    build(|b| b.begin_if(inside.id));
    ask();
    build(|b| {
        b.begin_else(&[]);
        b.end_if(&[], &[]);
    });
}

/// Checks the last of `N` elements from `index` on.
#[track_caller]
fn check_vector<T: Element, const N: usize>(memory: &impl Memory<T>, index: Val<usize>) {
    if !matches!(N, 2 | 4 | 8 | 16) || N * T::TYPE.size() as usize > 16 {
        fail(format!(
            "vectors of memory have 2, 4, 8 or 16 elements and at most 16 bytes, not {N} {}",
            T::TYPE
        ));
    }
    let (last, len) = (index + (N - 1), memory.length());
    build(|b| b.check_bounds(last.id, len.id));
}

#[track_caller]
pub(super) fn load_vector<T: Element, const N: usize>(slot: Slot<T>) -> [Val<T>; N] {
    let size = T::TYPE.size() * N as u32;
    build(|b| {
        let attr = Attr::Mem { align: size, cache: kernelsmith_ir::attr::CacheHint::Normal };
        let ty = Type::Vector(T::TYPE, N as u8);
        let vector = b.emit1(Opcode::Load, attr, &[slot.address()], ty);
        std::array::from_fn(|i| {
            let attr = Attr::Lane(i as u8);
            Val::from_id(b.emit1(Opcode::VecExtract, attr, &[vector], T::TYPE.into()))
        })
    })
}

#[track_caller]
pub(super) fn store_vector<T: Element, const N: usize>(slot: Slot<T>, values: [Val<T>; N]) {
    let size = T::TYPE.size() * N as u32;
    build(|b| {
        let lanes: Vec<Value> = values.iter().map(|v| v.id).collect();
        let ty = Type::Vector(T::TYPE, N as u8);
        let vector = b.emit1(Opcode::VecMake, Attr::None, &lanes, ty);
        let attr = Attr::Mem { align: size, cache: kernelsmith_ir::attr::CacheHint::Normal };
        b.emit(Opcode::Store, attr, &[slot.address(), vector], &[]);
    });
}

macro_rules! views {
    ($($(#[$meta:meta])* $name:ident $kind:ident;)*) => {$(
        $(#[$meta])*
        pub struct $name<T: Stored, const R: usize> {
            base: Value,
            shape: [Value; R],
            strides: [Value; R],
            ty: PhantomData<T>,
        }

        impl<T: Stored, const R: usize> Clone for $name<T, R> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<T: Stored, const R: usize> Copy for $name<T, R> {}

        impl<T: Stored, const R: usize> Param for $name<T, R> {
            fn declare(name: &str) -> Self {
                build(|b| {
                    let ptr = Type::Ptr(Space::Global, T::TYPE);
                    let base = b.param(name, ptr, ParamKind::$kind);
                    let mut extent = |what: &str, i: usize| {
                        b.param(&format!("{name}.{what}{i}"), Type::U64, ParamKind::Scalar)
                    };
                    let shape = std::array::from_fn(|i| extent("shape", i));
                    let strides = std::array::from_fn(|i| extent("stride", i));
                    $name { base, shape, strides, ty: PhantomData }
                })
            }
        }

        impl<T: Stored, const R: usize> $name<T, R> {
            /// The number of elements along an axis.
            ///
            /// # Panics
            /// Never; an axis beyond `R` is a staging error.
            #[track_caller]
            pub fn shape(&self, axis: usize) -> Val<usize> {
                match self.shape.get(axis) {
                    Some(&extent) => Val::from_id(extent),
                    None => fail(format!("axis {axis} of a view of {R} dimensions")),
                }
            }

            /// The number of elements from one index to the next along an axis. A kernel of which warps
            /// run along the last axis asks for `requires = x.stride(1) == 1`, and the compiler makes
            /// vectors of their accesses.
            #[track_caller]
            pub fn stride(&self, axis: usize) -> Val<usize> {
                match self.strides.get(axis) {
                    Some(&stride) => Val::from_id(stride),
                    None => fail(format!("axis {axis} of a view of {R} dimensions")),
                }
            }

            /// Asks for the cache line of an element to be brought closer, as [`Slice::prefetch`] does:
            /// outside of the view it does nothing.
            #[track_caller]
            pub fn prefetch<I: KernelIndex>(&self, index: [I; R]) {
                let index = index.map(|i| i.value().id);
                let inside = || {
                    build(|b| {
                        let mut inside = b.constant(Const::bool(true));
                        for (&i, &extent) in index.iter().zip(&self.shape) {
                            let below = b.compare(Opcode::Lt, i, extent);
                            inside = b.same(Opcode::And, &[inside, below]);
                        }
                        Val::from_id(inside)
                    })
                };
                prefetch_at(|| self.place(index, false).address(), inside);
            }

            /// Checks each index against its axis, and gives the element's address.
            #[track_caller]
            fn locate<I: KernelIndex>(&self, index: [I; R]) -> Slot<T> {
                self.place(index.map(|i| i.value().id), true)
            }

            /// An element's address.
            #[track_caller]
            fn place(&self, index: [Value; R], checked: bool) -> Slot<T> {
                Slot::new(build(|b| {
                    let mut offset = None;
                    for (axis, &i) in index.iter().enumerate() {
                        if checked {
                            b.check_bounds(i, self.shape[axis]);
                        }
                        let part = b.same(Opcode::Mul, &[i, self.strides[axis]]);
                        offset = Some(match offset {
                            Some(sum) => b.same(Opcode::Add, &[sum, part]),
                            None => part,
                        });
                    }
                    match offset {
                        Some(offset) => b.ptr_add(self.base, offset),
                        None => self.base,
                    }
                }))
            }
        }

        impl<T: Stored, I: KernelIndex, const R: usize> At<[I; R]> for $name<T, R> {
            type Out = Val<T>;
            #[track_caller]
            fn at(&self, index: [I; R]) -> Val<T> {
                self.locate(index).get()
            }
        }

        outer!($name: 2 => 1, 3 => 2, 4 => 3);
    )*};
}

/// The arithmetic of dimensions that const generics do not have.
macro_rules! outer {
    ($name:ident: $($from:literal => $to:literal),*) => {$(
        impl<T: Stored> $name<T, $from> {
            /// The view of one dimension less at an index of the first axis: a row of a matrix, a
            /// matrix of a batch. Checked.
            #[track_caller]
            pub fn outer(&self, index: impl KernelIndex) -> $name<T, $to> {
                let index = index.value().id;
                let base = build(|b| {
                    b.check_bounds(index, self.shape[0]);
                    let offset = b.same(Opcode::Mul, &[index, self.strides[0]]);
                    b.ptr_add(self.base, offset)
                });
                let rest = |of: &[Value; $from]| std::array::from_fn(|axis| of[axis + 1]);
                let (shape, strides) = (rest(&self.shape), rest(&self.strides));
                $name { base, shape, strides, ty: PhantomData }
            }
        }
    )*};
}

views! {
    /// `&View<T, R>`: a strided tensor of `R` dimensions that the kernel only reads.
    ViewRef ReadOnly;
    /// `&mut View<T, R>`: a strided tensor of `R` dimensions that this kernel alone reads and
    /// writes.
    ViewMut Exclusive;
}

impl<T: Stored> ViewRef<T, 1> {
    /// The elements as a slice: a row of a matrix, where elements of a row are next to each other. Checked;
    /// a kernel that asks for `requires = x.stride(1) == 1` has no check left.
    ///
    /// ```
    /// # use kernelsmith::prelude::*;
    /// #[kernel(requires = (x.stride(1) == 1))]
    /// fn first_of_each(x: &View<f32, 2>, y: &mut [f32]) {
    ///     let i = global_idx_x();
    ///     if i < y.len() {
    ///         let row = x.outer(i).contiguous();
    ///         y[i] = row[0];
    ///     }
    /// }
    /// ```
    #[track_caller]
    pub fn contiguous(&self) -> Slice<T> {
        let [len] = self.shape;
        check_dense(self.strides[0]);
        Slice { base: self.base, len, ty: PhantomData }
    }
}

impl<T: Stored> ViewMut<T, 1> {
    /// The elements as a slice to be written; see [`ViewRef::contiguous`].
    #[track_caller]
    pub fn contiguous(&self) -> SliceMut<T> {
        let [len] = self.shape;
        check_dense(self.strides[0]);
        SliceMut { base: self.base, len, ty: PhantomData }
    }
}

#[track_caller]
fn check_dense(stride: Value) {
    build(|b| {
        let one = b.constant(Const::int(Scalar::U64, 1));
        let dense = b.compare(Opcode::Eq, stride, one);
        let message = Some("elements of a view taken as a slice are next to each other");
        b.check(dense, kernelsmith_ir::attr::CheckKind::Assert, message);
    });
}

impl<T: Stored, I: KernelIndex, const R: usize> AtMut<[I; R]> for ViewMut<T, R> {
    type Slot = Slot<T>;
    #[track_caller]
    fn slot(&self, index: [I; R]) -> Slot<T> {
        self.locate(index)
    }
}

impl<T: Num, const R: usize> ViewMut<T, R> {
    /// An element for atomic access; checked.
    #[track_caller]
    pub fn atomic<I: KernelIndex>(&self, index: [I; R]) -> Atomic<T> {
        Atomic::new(self.locate(index))
    }
}
