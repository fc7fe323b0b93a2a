//! Who a thread is, and working with the others of its warp and block.

use kernelsmith_ir::attr::{AtomicOp, Dim, Order, ReduceOp, Scope};
use kernelsmith_ir::{Attr, Opcode, Scalar, Type, Value};

use super::element::{Element, Num};
use super::index::Slot;
use super::stage::{build, target};
use super::val::{IntoVal, Val};

/// An id as the `usize` that indices are.
#[track_caller]
fn id(op: Opcode, attr: Attr) -> Val<usize> {
    Val::from_id(build(|b| {
        let id = b.emit1(op, attr, &[], Type::U32);
        b.cast(id, Scalar::U64)
    }))
}

macro_rules! ids {
    ($($(#[$meta:meta])* $name:ident $op:ident $dim:ident;)*) => {$(
        $(#[$meta])*
        #[track_caller]
        pub fn $name() -> Val<usize> {
            id(Opcode::$op, Attr::Dim(Dim::$dim))
        }
    )*};
}

ids! {
    /// The thread's index in its block along x.
    thread_idx_x ThreadIdx X;
    /// The thread's index in its block along y.
    thread_idx_y ThreadIdx Y;
    /// The thread's index in its block along z.
    thread_idx_z ThreadIdx Z;
    /// The block's index in the grid along x.
    block_idx_x BlockIdx X;
    /// The block's index in the grid along y.
    block_idx_y BlockIdx Y;
    /// The block's index in the grid along z.
    block_idx_z BlockIdx Z;
    /// Threads of a block along x.
    block_dim_x BlockDim X;
    /// Threads of a block along y.
    block_dim_y BlockDim Y;
    /// Threads of a block along z.
    block_dim_z BlockDim Z;
    /// Blocks of the grid along x.
    grid_dim_x GridDim X;
    /// Blocks of the grid along y.
    grid_dim_y GridDim Y;
    /// Blocks of the grid along z.
    grid_dim_z GridDim Z;
}

/// The thread's index among all along x: `block_idx_x * block_dim_x + thread_idx_x`.
#[track_caller]
pub fn global_idx_x() -> Val<usize> {
    block_idx_x() * block_dim_x() + thread_idx_x()
}

/// The thread's index among all along y.
#[track_caller]
pub fn global_idx_y() -> Val<usize> {
    block_idx_y() * block_dim_y() + thread_idx_y()
}

/// The thread's index in its warp.
#[track_caller]
pub fn lane_id() -> Val<usize> {
    id(Opcode::LaneId, Attr::None)
}

/// A number that each lane has by its index: `of(lane)`, which is the sum of what the bits of the
/// index bring each by itself, as positions in matrices are. Computed by shifts and masks.
#[track_caller]
pub(crate) fn lane_linear(lanes: u32, of: impl Fn(u32) -> u32) -> Val<usize> {
    let base = of(0);
    let bits: Vec<u32> = (0..lanes.ilog2()).map(|bit| of(1 << bit) - base).collect();
    let sum = |lane: u32| -> u32 {
        let set = (0..bits.len()).filter(|bit| lane >> bit & 1 == 1);
        base + set.map(|bit| bits[bit]).sum::<u32>()
    };
    assert!(
        (0..lanes).all(|lane| sum(lane) == of(lane)),
        "positions are sums over the lane's bits"
    );
    let mut total = Val::<u32>::from(base);
    let mut bit = 0;
    while bit < bits.len() {
        // Bits of which each brings twice what the one below it does are one number.
        let mut end = bit + 1;
        while end < bits.len() && bits[end] == 2 * bits[end - 1] && bits[bit] != 0 {
            end += 1;
        }
        if bits[bit] != 0 {
            let lane =
                Val::<u32>::from_id(build(|b| b.emit1(Opcode::LaneId, Attr::None, &[], Type::U32)));
            let number = (lane >> bit as u32) & ((1 << (end - bit)) - 1);
            total = total + number * bits[bit];
        }
        bit = end;
    }
    super::cast::cast(total)
}

/// The warp's index in its block.
#[track_caller]
pub fn warp_id() -> Val<usize> {
    id(Opcode::WarpId, Attr::None)
}

/// Threads of a warp: a host value, as the target is known while staging.
#[track_caller]
pub fn warp_size() -> usize {
    target().warp_size() as usize
}

/// Waits for all threads of the block; what they wrote to memory is then visible to all of them.
#[track_caller]
pub fn barrier() {
    build(|b| b.emit(Opcode::Barrier, Attr::None, &[], &[]));
}

/// Waits for all threads of the warp; what they wrote to memory is then visible to all of them.
#[track_caller]
pub fn warp_sync() {
    build(|b| b.emit(Opcode::WarpSync, Attr::None, &[], &[]));
}

/// A memory fence for the threads of the device.
#[track_caller]
pub fn fence() {
    let attr = Attr::Fence { order: Order::AcqRel, scope: Scope::Device };
    build(|b| b.emit(Opcode::Fence, attr, &[], &[]));
}

macro_rules! shuffles {
    ($($(#[$meta:meta])* $name:ident $op:ident;)*) => {$(
        $(#[$meta])*
        #[track_caller]
        pub fn $name<T: Num>(value: Val<T>, lane: impl IntoVal<u32>) -> Val<T> {
            let lane = lane.into_val();
            Val::from_id(build(|b| b.same(Opcode::$op, &[value.id, lane.id])))
        }
    )*};
}

shuffles! {
    /// The value of the lane of that index.
    shuffle ShuffleIdx;
    /// The value of lane `lane_id ^ mask`.
    shuffle_xor ShuffleXor;
    /// The value of lane `lane_id - delta`; the own value where there is none.
    shuffle_up ShuffleUp;
    /// The value of lane `lane_id + delta`; the own value where there is none.
    shuffle_down ShuffleDown;
}

macro_rules! reductions {
    ($($(#[$meta:meta])* $name:ident $op:ident;)*) => {$(
        $(#[$meta])*
        #[track_caller]
        pub fn $name<T: Num>(value: Val<T>) -> Val<T> {
            let ty = Type::Scalar(T::TYPE);
            let attr = Attr::Reduce(ReduceOp::$op);
            Val::from_id(build(|b| b.emit1(Opcode::WarpReduce, attr, &[value.id], ty)))
        }
    )*};
}

reductions! {
    /// The sum over the lanes of the warp, on every lane.
    warp_sum Add;
    /// The smallest value of the lanes of the warp, on every lane.
    warp_min Min;
    /// The largest value of the lanes of the warp, on every lane.
    warp_max Max;
}

#[track_caller]
fn collective(op: Opcode, condition: Val<bool>, ty: Type) -> Value {
    build(|b| b.emit1(op, Attr::None, &[condition.id], ty))
}

/// Whether the condition holds on every lane of the warp.
#[track_caller]
pub fn warp_all(condition: Val<bool>) -> Val<bool> {
    Val::from_id(collective(Opcode::VoteAll, condition, Type::BOOL))
}

/// Whether the condition holds on some lane of the warp.
#[track_caller]
pub fn warp_any(condition: Val<bool>) -> Val<bool> {
    Val::from_id(collective(Opcode::VoteAny, condition, Type::BOOL))
}

/// The condition of every lane as bits: bit `i` is lane `i`'s.
#[track_caller]
pub fn ballot(condition: Val<bool>) -> Val<u64> {
    Val::from_id(collective(Opcode::Ballot, condition, Type::U64))
}

macro_rules! atomics {
    ($($(#[$meta:meta])* $name:ident $op:ident;)*) => {
        /// Atomic operations, relaxed and for the whole device; each returns the old value.
        impl<T: Num> Slot<T> {
            $(
                $(#[$meta])*
                #[track_caller]
                pub fn $name(&self, value: impl IntoVal<T>) -> Val<T> {
                    let value = value.into_val();
                    let attr = Attr::Atomic {
                        op: AtomicOp::$op,
                        order: Order::Relaxed,
                        scope: Scope::Device,
                    };
                    let operands = [self.address(), value.id];
                    let ty = Type::Scalar(T::TYPE);
                    Val::from_id(build(|b| b.emit1(Opcode::AtomicRmw, attr, &operands, ty)))
                }
            )*
        }
    };
}

atomics! {
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
        let (op, order, scope) = (AtomicOp::Exchange, Order::AcqRel, Scope::Device);
        let attr = Attr::Atomic { op, order, scope };
        let operands = [self.address(), expected.id, new.id];
        let ty = Type::Scalar(T::TYPE);
        Val::from_id(build(|b| b.emit1(Opcode::AtomicCas, attr, &operands, ty)))
    }
}

/// Reports an error with a message and ends the thread unless the condition holds.
#[track_caller]
pub fn device_assert(condition: Val<bool>, message: &str) {
    build(|b| {
        b.check(condition.id, kernelsmith_ir::attr::CheckKind::Assert, Some(message));
    });
}
