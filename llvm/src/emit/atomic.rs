//! Atomics (LLVM Language Reference, "`atomicrmw` Instruction", "Atomic Memory Ordering
//! Constraints").

use kernelsmith_ir::Scalar;
use kernelsmith_ir::attr::{AtomicOp, Order};

/// `atomicrmw`'s name of an operation on a type; none for bits of floats.
pub const fn atomic_name(op: AtomicOp, ty: Scalar) -> Option<&'static str> {
    Some(match (op, ty.is_float(), ty.is_signed()) {
        (AtomicOp::Add, true, _) => "fadd",
        (AtomicOp::Sub, true, _) => "fsub",
        (AtomicOp::Min, true, _) => "fmin",
        (AtomicOp::Max, true, _) => "fmax",
        (AtomicOp::Min, _, true) => "min",
        (AtomicOp::Max, _, true) => "max",
        (AtomicOp::Min, ..) => "umin",
        (AtomicOp::Max, ..) => "umax",
        (AtomicOp::Exchange, ..) => "xchg",
        (AtomicOp::Add, ..) => "add",
        (AtomicOp::Sub, ..) => "sub",
        (AtomicOp::And, false, _) => "and",
        (AtomicOp::Or, false, _) => "or",
        (AtomicOp::Xor, false, _) => "xor",
        _ => return None,
    })
}

/// A memory ordering.
pub const fn ordering(order: Order) -> &'static str {
    match order {
        Order::Relaxed => "monotonic",
        Order::Acquire => "acquire",
        Order::Release => "release",
        Order::AcqRel => "acq_rel",
    }
}

/// The ordering of a compare-and-swap that fails: a load, so nothing is released.
pub const fn failure_ordering(order: Order) -> &'static str {
    match order {
        Order::Acquire | Order::AcqRel => "acquire",
        Order::Relaxed | Order::Release => "monotonic",
    }
}
