//! What the lanes of a warp compute together.
//!
//! Every thread of the warp must come to such a function; the compiler rejects control flow under
//! which some may not. In a block whose threads do not fill its last warp, that warp has fewer lanes:
//! reductions, scans and votes are of those it has.

use kernelsmith_ir::attr::ReduceOp;
use kernelsmith_ir::{Attr, Opcode, Type, Value};

use crate::lang::compare::{eq, ge, lt};
use crate::lang::control::select;
use crate::lang::element::{Element, Num};
use crate::lang::stage::{build, target};
use crate::lang::val::{IntoVal, Val};

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

/// The lanes that have the same bits as this one: bit `i` is whether lane `i` has.
#[track_caller]
pub fn match_any<T: Element>(value: Val<T>) -> Val<u64> {
    Val::from_id(build(|b| b.emit1(Opcode::MatchAny, Attr::None, &[value.id], Type::U64)))
}

/// How many lanes the warp has: fewer than [`warp_size`](crate::lang::thread::warp_size) only in
/// the last one of a block.
#[track_caller]
pub fn warp_lanes() -> Val<u32> {
    match fills_warps() {
        true => target().warp_size().into(),
        false => ballot(true.into()).count_ones(),
    }
}

/// The lanes below this one as bits, for the rank of a lane among those that a ballot names:
/// `(ballot(c) & lanes_below()).count_ones()`.
#[track_caller]
pub fn lanes_below() -> Val<u64> {
    (Val::<u64>::from(1) << lane()) - 1
}

/// The value of the first lane, on every lane.
#[track_caller]
pub fn warp_broadcast<T: Num>(value: Val<T>) -> Val<T> {
    shuffle(value, 0)
}

/// What `combine` makes of all lanes' values, on every lane. `combine` is associative; the values
/// keep their order. For sums, minima and maxima [`warp_sum`] and its like are faster.
#[track_caller]
pub fn warp_reduce<T: Num>(value: Val<T>, combine: impl Fn(Val<T>, Val<T>) -> Val<T>) -> Val<T> {
    warp_broadcast(reduce_to_first(value, warp_lanes(), combine))
}

/// What `combine` makes of the first `count` lanes' values, on the first lane.
#[track_caller]
pub(super) fn reduce_to_first<T: Num>(
    value: Val<T>,
    count: Val<u32>,
    combine: impl Fn(Val<T>, Val<T>) -> Val<T>,
) -> Val<T> {
    let lane = lane();
    // Rising distances, so that each step combines neighbouring runs, in order.
    distances().fold(value, |sum, distance| {
        let other = shuffle_down(sum, distance);
        select(lt(lane + distance, count), combine(sum, other), sum)
    })
}

/// The inclusive scan: on each lane, what `combine` makes of the values of the lanes up to this one.
/// `combine` is associative; the values keep their order.
#[track_caller]
pub fn warp_scan<T: Num>(value: Val<T>, combine: impl Fn(Val<T>, Val<T>) -> Val<T>) -> Val<T> {
    let lane = lane();
    distances().fold(value, |sum, distance| {
        let other = shuffle_up(sum, distance);
        select(ge(lane, distance), combine(other, sum), sum)
    })
}

/// The exclusive scan: on each lane, what `combine` makes of the values of the lanes before this
/// one; on the first lane `identity`.
#[track_caller]
pub fn warp_scan_exclusive<T: Num>(
    value: Val<T>,
    identity: impl IntoVal<T>,
    combine: impl Fn(Val<T>, Val<T>) -> Val<T>,
) -> Val<T> {
    let before = shuffle_up(warp_scan(value, combine), 1);
    select(eq(lane(), 0u32), identity.into_val(), before)
}

/// The sum of the values of the lanes up to this one.
#[track_caller]
pub fn warp_scan_sum<T: Num>(value: Val<T>) -> Val<T> {
    warp_scan(value, |a, b| a + b)
}

/// 1, 2, 4 and so on, below the size of a warp.
#[track_caller]
fn distances() -> impl Iterator<Item = u32> {
    let size = target().warp_size();
    (0..).map(|bit| 1 << bit).take_while(move |&distance| distance < size)
}

/// The thread's index in its warp.
#[track_caller]
pub(super) fn lane() -> Val<u32> {
    Val::from_id(build(|b| b.emit1(Opcode::LaneId, Attr::None, &[], Type::U32)))
}

/// Whether the kernel fixes a block size that fills its warps.
#[track_caller]
pub(super) fn fills_warps() -> bool {
    let threads = build(|b| b.kernel().block_dim).map(|block| block.iter().product::<u32>());
    threads.is_some_and(|threads| threads.is_multiple_of(target().warp_size()))
}
