//! Atomic access to elements of memory, and fences: `std::sync::atomic`, with a scope besides.

use kernelsmith_ir::attr::AtomicOp;
pub use kernelsmith_ir::attr::{Order as Ordering, Scope};
use kernelsmith_ir::{Attr, Opcode, Scalar, Type};

use super::compare::eq;
use super::element::{Element, Int, Num};
use super::index::Slot;
use super::stage::{build, fail};
use super::val::{IntoVal, Val};

/// Orders memory accesses of the thread, as seen by the threads of the scope.
#[track_caller]
pub fn fence(order: Ordering, scope: Scope) {
    build(|b| b.emit(Opcode::Fence, Attr::Fence { order, scope }, &[], &[]));
}

/// An element that threads access at the same time: `x.atomic(i)` of slices, shared arrays and
/// views. The methods are those of `std::sync::atomic`; besides the ordering each takes the scope:
/// the threads for which the access is one and which it orders.
///
/// Floats have them too. Where the hardware lacks an operation on a type it is a loop of
/// compare-and-swap; AMD has atomics on 4 and 8 bytes only, and reports others when compiling.
pub struct Atomic<T: Num> {
    slot: Slot<T>,
}

impl<T: Num> Atomic<T> {
    pub(crate) fn new(slot: Slot<T>) -> Atomic<T> {
        Atomic { slot }
    }

    #[track_caller]
    fn update(&self, op: AtomicOp, value: Val<T>, order: Ordering, scope: Scope) -> Val<T> {
        let attr = Attr::Atomic { op, order, scope };
        let operands = [self.slot.address(), value.id];
        Val::from_id(build(|b| b.emit1(Opcode::AtomicRmw, attr, &operands, T::TYPE.into())))
    }

    /// Reads the element. The ordering is `Relaxed` or `Acquire`.
    #[track_caller]
    pub fn load(&self, order: Ordering, scope: Scope) -> Val<T> {
        if !matches!(order, Ordering::Relaxed | Ordering::Acquire) {
            fail(format!("an atomic load is `Relaxed` or `Acquire`, not `{order:?}`"));
        }
        let (attr, at) = (Attr::Fence { order, scope }, self.slot.address());
        Val::from_id(build(|b| b.emit1(Opcode::AtomicLoad, attr, &[at], T::TYPE.into())))
    }

    /// Writes the element. The ordering is `Relaxed` or `Release`.
    #[track_caller]
    pub fn store(&self, value: Val<T>, order: Ordering, scope: Scope) {
        if !matches!(order, Ordering::Relaxed | Ordering::Release) {
            fail(format!("an atomic store is `Relaxed` or `Release`, not `{order:?}`"));
        }
        let (attr, at) = (Attr::Fence { order, scope }, self.slot.address());
        build(|b| b.emit(Opcode::AtomicStore, attr, &[at, value.id], &[]));
    }

    /// Writes an element and returns what was there.
    #[track_caller]
    pub fn swap(&self, value: Val<T>, order: Ordering, scope: Scope) -> Val<T> {
        self.update(AtomicOp::Exchange, value, order, scope)
    }

    /// Writes `new` if the element has the bits of `expected`. Returns what was there, and whether
    /// `new` was written.
    #[track_caller]
    pub fn compare_exchange(
        &self,
        expected: impl IntoVal<T>,
        new: impl IntoVal<T>,
        order: Ordering,
        scope: Scope,
    ) -> (Val<T>, Val<bool>) {
        let (expected, new) = (expected.into_val(), new.into_val());
        let attr = Attr::Atomic { op: AtomicOp::Exchange, order, scope };
        let operands = [self.slot.address(), expected.id, new.id];
        let ty = Type::Scalar(T::TYPE);
        let old: Val<T> = Val::from_id(build(|b| b.emit1(Opcode::AtomicCas, attr, &operands, ty)));
        (old, eq(bits(old), bits(expected)))
    }
}

/// A number's bits, so that a NaN equals itself.
#[track_caller]
fn bits<T: Num>(value: Val<T>) -> Val<u64> {
    let unsigned = match T::TYPE.size() {
        1 => Scalar::U8,
        2 => Scalar::U16,
        4 => Scalar::U32,
        _ => Scalar::U64,
    };
    Val::from_id(build(|b| {
        let bits = b.emit1(Opcode::Bitcast, Attr::None, &[value.id], unsigned.into());
        b.cast(bits, Scalar::U64)
    }))
}

macro_rules! updates {
    ($($(#[$meta:meta])* $name:ident $op:ident $bound:ident;)*) => {$(
        impl<T: $bound> Atomic<T> {
            $(#[$meta])*
            #[track_caller]
            pub fn $name(
                &self,
                value: impl IntoVal<T>,
                order: Ordering,
                scope: Scope,
            ) -> Val<T> {
                self.update(AtomicOp::$op, value.into_val(), order, scope)
            }
        }
    )*};
}

updates! {
    /// Adds, integers wrapping; returns the old value.
    fetch_add Add Num;
    /// Subtracts, integers wrapping; returns the old value.
    fetch_sub Sub Num;
    /// Keeps the smaller, of floats the one that is no NaN; returns the old value.
    fetch_min Min Num;
    /// Keeps the larger, of floats the one that is no NaN; returns the old value.
    fetch_max Max Num;
    /// Bitwise and; returns the old value.
    fetch_and And Int;
    /// Bitwise or; returns the old value.
    fetch_or Or Int;
    /// Bitwise exclusive or; returns the old value.
    fetch_xor Xor Int;
}

macro_rules! relaxed {
    ($($(#[$meta:meta])* $name:ident $op:ident;)*) => {
        /// Atomic operations, relaxed and for the whole device; each returns the old value.
        impl<T: Num> Slot<T> {
            $(
                $(#[$meta])*
                #[track_caller]
                pub fn $name(&self, value: impl IntoVal<T>) -> Val<T> {
                    let atomic = Atomic { slot: Slot::new(self.address()) };
                    let value = value.into_val();
                    atomic.update(AtomicOp::$op, value, Ordering::Relaxed, Scope::Device)
                }
            )*
        }
    };
}

relaxed! {
    /// Adds.
    atomic_add Add;
    /// Keeps the smaller.
    atomic_min Min;
    /// Keeps the larger.
    atomic_max Max;
    /// Exchanges.
    atomic_exchange Exchange;
}

impl<T: Element> Slot<T> {
    /// Writes `new` if the element is `expected`; returns the old value.
    #[track_caller]
    pub fn atomic_cas(&self, expected: impl IntoVal<T>, new: impl IntoVal<T>) -> Val<T> {
        let (expected, new) = (expected.into_val(), new.into_val());
        let (op, order, scope) = (AtomicOp::Exchange, Ordering::AcqRel, Scope::Device);
        let attr = Attr::Atomic { op, order, scope };
        let operands = [self.address(), expected.id, new.id];
        let ty = Type::Scalar(T::TYPE);
        Val::from_id(build(|b| b.emit1(Opcode::AtomicCas, attr, &operands, ty)))
    }
}
