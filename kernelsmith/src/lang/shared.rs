//! Shared memory: what the threads of a block have in common.

use std::marker::PhantomData;

use kernelsmith_ir::attr::{Attr, Const};
use kernelsmith_ir::{Opcode, ParamKind, Scalar, Space, Type, Value};

use super::atomic::Atomic;
use super::element::{Element, Num};
use super::index::{At, AtMut, KernelIndex, Memory, Slot, checked, unchecked};
use super::stage::{build, fail, target};
use super::val::Val;

/// 16 bytes: what vector accesses, cp.async and ldmatrix need of a row's start.
const ALIGN: usize = 16;

/// An array in the block's shared memory.
///
/// It lives as long as the block: threads see what others wrote after a barrier.
pub struct Shared<T: Element> {
    base: Value,
    len: Value,
    /// What the address of the first element is certainly a multiple of, in bytes.
    align: usize,
    ty: PhantomData<T>,
}

impl<T: Element> Clone for Shared<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Element> Copy for Shared<T> {}

impl<T: Element> Memory<T> for Shared<T> {
    fn base(&self) -> Value {
        self.base
    }
    fn length(&self) -> Val<usize> {
        Val::from_id(self.len)
    }
}

impl<T: Element> Shared<T> {
    /// Number of elements.
    pub fn len(&self) -> Val<usize> {
        Val::from_id(self.len)
    }

    /// Whether there are no elements.
    #[track_caller]
    pub fn is_empty(&self) -> Val<bool> {
        super::compare::eq(self.len(), 0)
    }

    /// Reads an element without a check.
    ///
    /// # Safety
    /// `index` is less than `len` on every thread that gets here.
    #[track_caller]
    pub unsafe fn get_unchecked(&self, index: impl KernelIndex) -> Val<T> {
        unchecked(self, index).get()
    }

    /// Writes an element without a check.
    ///
    /// # Safety
    /// `index` is less than `len` on every thread that gets here.
    #[track_caller]
    pub unsafe fn set_unchecked(&self, index: impl KernelIndex, value: Val<T>) {
        unchecked(self, index).set(value);
    }

    /// The address of an element, for atomics; checked.
    #[track_caller]
    pub fn slot_at(&self, index: impl KernelIndex) -> Slot<T> {
        checked(self, index)
    }

    /// `len` elements from `start` on, as an array of their own; checked.
    #[track_caller]
    pub fn slice(&self, start: impl KernelIndex, len: impl KernelIndex) -> Shared<T> {
        let size = T::TYPE.size() as usize;
        let align = match start.host() {
            Some(0) => self.align,
            Some(start) => (1 << (start * size).trailing_zeros()).min(self.align),
            None => size,
        };
        let (start, len) = (start.value(), len.value());
        let end = start + len;
        build(|b| {
            // The end must not have wrapped.
            let ordered = b.compare(Opcode::Le, start.id, end.id);
            let inside = b.compare(Opcode::Le, end.id, self.len);
            let ok = b.same(Opcode::And, &[ordered, inside]);
            let rule = "the slice lies in the shared array";
            b.check(ok, kernelsmith_ir::attr::CheckKind::Assert, Some(rule));
            Shared { base: b.ptr_add(self.base, start.id), len: len.id, align, ty: PhantomData }
        })
    }

    /// The same memory as elements of another type, as many as fit. What they are is what the bits
    /// say; writes through one are seen through the other.
    #[track_caller]
    pub fn cast<U: Element>(&self) -> Shared<U> {
        let (from, to) = (T::TYPE.size(), U::TYPE.size());
        if self.align < to as usize {
            fail(format!(
                "shared memory aligned to {} bytes cannot be an array of {}, which needs {to}: \
                 slice at a position that is known while staging and a multiple of it",
                self.align,
                U::TYPE
            ));
        }
        build(|b| {
            let ty = Type::Ptr(Space::Shared, U::TYPE);
            let base = b.emit1(Opcode::PtrCast, Attr::None, &[self.base], ty);
            let mut len = self.len;
            if from > to {
                let each = b.constant(Const::int(Scalar::U64, (from / to).into()));
                len = b.same(Opcode::Mul, &[len, each]);
            } else if from < to {
                let each = b.constant(Const::int(Scalar::U64, (to / from).into()));
                len = b.same(Opcode::Div, &[len, each]);
            }
            Shared { base, len, align: self.align, ty: PhantomData }
        })
    }
}

impl<T: Num> Shared<T> {
    /// An element for atomic access; checked.
    #[track_caller]
    pub fn atomic(&self, index: impl KernelIndex) -> Atomic<T> {
        Atomic::new(checked(self, index))
    }
}

/// An array of `len` elements in the block's shared memory. What it holds at first is undefined.
#[track_caller]
pub fn shared<T: Element>(len: usize) -> Shared<T> {
    shared_as("shared", len, ALIGN)
}

/// [`shared`] by a name, that begins at a multiple of `align` bytes, a power of two.
#[track_caller]
pub(crate) fn shared_as<T: Element>(name: &str, len: usize, align: usize) -> Shared<T> {
    let limit = target().max_shared_bytes() as usize;
    let bytes = len.saturating_mul(T::TYPE.size() as usize);
    if len == 0 || bytes > limit {
        fail(format!(
            "a shared array of {len} {} has {bytes} bytes; {} allows 1 to {limit}",
            T::TYPE,
            target()
        ));
    }
    build(|b| {
        let id = b.shared(name, T::TYPE, Some(len as u32), align as u32);
        let ty = b.kernel().shared_type(id);
        let base = b.emit1(Opcode::SharedAddr, Attr::Shared(id), &[], ty);
        let len = b.constant(Const::int(Scalar::U64, len as i128));
        Shared { base, len, align, ty: PhantomData }
    })
}

/// The block's dynamic shared memory: as many elements as the launch's `shared_bytes` hold. What it
/// holds at first is undefined. Every call gives the same memory; `slice` and `cast` part it among
/// arrays of several types.
#[track_caller]
pub fn dynamic_shared<T: Element>() -> Shared<T> {
    build(|b| {
        let id = b.shared("dynamic_shared", T::TYPE, None, ALIGN as u32);
        let ty = b.kernel().shared_type(id);
        let base = b.emit1(Opcode::SharedAddr, Attr::Shared(id), &[], ty);
        let bytes = b.hidden_param(ParamKind::SharedBytes);
        let size = b.constant(Const::int(Scalar::U64, T::TYPE.size().into()));
        let len = b.same(Opcode::Div, &[bytes, size]);
        Shared { base, len, align: ALIGN, ty: PhantomData }
    })
}

/// A tile of `R` dimensions in the block's shared memory, row-major: `tile[[i, j]]`.
pub struct SharedTile<T: Element, const R: usize> {
    data: Shared<T>,
    shape: [usize; R],
}

impl<T: Element, const R: usize> Clone for SharedTile<T, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Element, const R: usize> Copy for SharedTile<T, R> {}

/// A tile of this shape in the block's shared memory. What it holds at first is undefined. One more
/// column than is used keeps the elements of a column in different banks.
#[track_caller]
pub fn shared_tile<T: Element, const R: usize>(shape: [usize; R]) -> SharedTile<T, R> {
    let len = shape.iter().fold(1usize, |n, &extent| n.saturating_mul(extent));
    SharedTile { data: shared(len), shape }
}

impl<T: Element, const R: usize> SharedTile<T, R> {
    /// The tile's elements, row after row.
    pub fn elements(&self) -> Shared<T> {
        self.data
    }

    /// The number of elements along each axis, known while staging.
    pub fn shape(&self) -> [usize; R] {
        self.shape
    }

    /// Checks each index against its axis, and gives the element's address.
    #[track_caller]
    fn locate<I: KernelIndex>(&self, index: [I; R]) -> Slot<T> {
        let mut offset = Val::<usize>::from(0);
        for (index, extent) in index.into_iter().zip(self.shape) {
            let (index, extent) = (index.value(), Val::<usize>::from(extent));
            build(|b| b.check_bounds(index.id, extent.id));
            offset = offset * extent + index;
        }
        unchecked(&self.data, offset)
    }
}

impl<T: Num, const R: usize> SharedTile<T, R> {
    /// An element for atomic access; checked.
    #[track_caller]
    pub fn atomic<I: KernelIndex>(&self, index: [I; R]) -> Atomic<T> {
        Atomic::new(self.locate(index))
    }
}

impl<T: Element, I: KernelIndex, const R: usize> At<[I; R]> for SharedTile<T, R> {
    type Out = Val<T>;
    #[track_caller]
    fn at(&self, index: [I; R]) -> Val<T> {
        self.locate(index).get()
    }
}

impl<T: Element, I: KernelIndex, const R: usize> AtMut<[I; R]> for SharedTile<T, R> {
    type Slot = Slot<T>;
    #[track_caller]
    fn slot(&self, index: [I; R]) -> Slot<T> {
        self.locate(index)
    }
}
