//! What the threads of a block compute together: each warp by itself, then the first warp of what
//! the warps found, by way of shared memory.
//!
//! Every thread of the block must come to such a function, and may hold any value: blocks of every
//! shape and size do. Threads are numbered x fastest. What was written to memory before is visible
//! to the whole block after. A function takes a few words of shared memory where it stands.

use kernelsmith_ir::Opcode;

use crate::lang::compare::{eq, ge, gt, ne};
use crate::lang::control::{Condition, select};
use crate::lang::element::{Element, Num};
use crate::lang::shared::{Shared, shared};
use crate::lang::stage::build;
use crate::lang::thread::{
    barrier, block_dim_x, block_dim_y, block_dim_z, thread_idx_x, thread_idx_y, thread_idx_z,
    warp_id, warp_size, warp_sync,
};
use crate::lang::val::{IntoVal, Val};
use crate::lang::{cast::cast, index::checked};

use super::warp::{
    ballot, lane, reduce_to_first, warp_lanes, warp_max, warp_min, warp_reduce, warp_scan, warp_sum,
};

/// Threads of the block.
#[track_caller]
pub fn block_threads() -> Val<usize> {
    block_dim_x() * block_dim_y() * block_dim_z()
}

/// The thread's number in its block, x fastest, whatever the block's shape.
#[track_caller]
pub fn thread_rank() -> Val<usize> {
    (thread_idx_z() * block_dim_y() + thread_idx_y()) * block_dim_x() + thread_idx_x()
}

/// Warps of the block.
#[track_caller]
fn warps() -> Val<usize> {
    (block_threads() + (warp_size() - 1)) / warp_size()
}

/// Stages `body` under a run-time condition.
#[track_caller]
pub(crate) fn when(condition: Val<bool>, body: impl FnOnce()) {
    let branch = condition.begin();
    if branch.then() {
        body();
    }
    branch.otherwise();
    branch.end();
}

/// An element for each warp that a block can have.
#[track_caller]
fn for_each_warp<T: Element>() -> Shared<T> {
    shared(1024 / warp_size())
}

/// Tells the compiler that the block's threads hold one value: barriers may stand under conditions
/// on it.
#[track_caller]
fn agreed<T: Element>(value: Val<T>) -> Val<T> {
    Val::from_id(build(|b| b.same(Opcode::Agreed, &[value.id])))
}

/// The value of the first thread of the block, on every thread: of the one whose [`thread_rank`] is
/// 0. What one thread has found out, and read from memory above all, all can then decide by:
/// barriers may stand under conditions on it.
#[track_caller]
pub fn block_broadcast<T: Element>(value: Val<T>) -> Val<T> {
    let place = shared::<T>(1usize);
    // Rules out, while compiling, that the first thread has returned.
    warp_sync();
    when(eq(thread_rank(), 0usize), || checked(&place, 0usize).set(value));
    barrier();
    let value = agreed(checked(&place, 0usize).get());
    // The place may be written again, in the next iteration of a loop.
    barrier();
    value
}

/// What `combine` makes of all threads' values, on every thread. `combine` is associative; the
/// values keep the order of [`thread_rank`].
#[track_caller]
pub fn block_reduce<T: Num>(value: Val<T>, combine: impl Fn(Val<T>, Val<T>) -> Val<T>) -> Val<T> {
    let of_warp = warp_reduce(value, &combine);
    across_warps(of_warp, combine)
}

/// What `combine` makes of values that are one for each warp.
#[track_caller]
fn across_warps<T: Num>(of_warp: Val<T>, combine: impl Fn(Val<T>, Val<T>) -> Val<T>) -> Val<T> {
    let partial = for_each_warp::<T>();
    when(eq(lane(), 0u32), || checked(&partial, warp_id()).set(of_warp));
    barrier();
    when(eq(warp_id(), 0usize), || {
        let count = warps();
        // Lanes without a warp of theirs read one that there is, for nothing.
        let own = cast::<Val<usize>, _>(lane()).min(count - 1);
        let value = checked(&partial, own).get();
        // Who reads for nothing must have read before anybody writes.
        warp_sync();
        let sum = reduce_to_first(value, cast(count), combine);
        when(eq(lane(), 0u32), || checked(&partial, 0usize).set(sum));
    });
    barrier();
    let sum = agreed(checked(&partial, 0usize).get());
    // The array may be written again, in the next iteration of a loop.
    barrier();
    sum
}

macro_rules! reductions {
    ($($(#[$meta:meta])* $name:ident $warp:ident $combine:expr;)*) => {$(
        $(#[$meta])*
        #[track_caller]
        pub fn $name<T: Num>(value: Val<T>) -> Val<T> {
            across_warps($warp(value), $combine)
        }
    )*};
}

reductions! {
    /// The sum over the threads of the block, on every thread.
    block_sum warp_sum |a, b| a + b;
    /// The smallest value of the threads of the block, on every thread; NaN is ignored.
    block_min warp_min |a, b| a.min(b);
    /// The largest value of the threads of the block, on every thread; NaN is ignored.
    block_max warp_max |a, b| a.max(b);
}

/// On how many threads of the block the condition holds.
#[track_caller]
pub fn block_count(condition: Val<bool>) -> Val<u32> {
    across_warps(ballot(condition).count_ones(), |a, b| a + b)
}

/// Whether the condition holds on some thread of the block.
#[track_caller]
pub fn block_any(condition: Val<bool>) -> Val<bool> {
    gt(block_count(condition), 0u32)
}

/// Whether the condition holds on every thread of the block.
#[track_caller]
pub fn block_all(condition: Val<bool>) -> Val<bool> {
    eq(block_count(!condition), 0u32)
}

/// The inclusive scan: on each thread, what `combine` makes of the values of the threads up to this
/// one. `combine` is associative; the values keep the order of [`thread_rank`].
#[track_caller]
pub fn block_scan<T: Num>(value: Val<T>, combine: impl Fn(Val<T>, Val<T>) -> Val<T>) -> Val<T> {
    let own = warp_scan(value, &combine);
    let partial = for_each_warp::<T>();
    let last = warp_lanes() - 1;
    when(eq(lane(), last), || checked(&partial, warp_id()).set(own));
    barrier();
    when(eq(warp_id(), 0usize), || {
        let count = warps();
        let at = cast::<Val<usize>, _>(lane());
        let value = checked(&partial, at.min(count - 1)).get();
        warp_sync();
        let sums = warp_scan(value, &combine);
        when(ge(count - 1, at), || checked(&partial, at).set(sums));
    });
    barrier();
    let first = eq(warp_id(), 0usize);
    let before = checked(&partial, select(first, warp_id(), warp_id() - 1)).get();
    let sum = select(first, own, combine(before, own));
    // The array may be written again, in the next iteration of a loop.
    barrier();
    sum
}

/// The exclusive scan: on each thread, what `combine` makes of the values of the threads before this
/// one; on the first thread `identity`.
#[track_caller]
pub fn block_scan_exclusive<T: Num>(
    value: Val<T>,
    identity: impl IntoVal<T>,
    combine: impl Fn(Val<T>, Val<T>) -> Val<T>,
) -> Val<T> {
    let own = block_scan(value, combine);
    // The value before a warp's first lane is another warp's.
    let last = for_each_warp::<T>();
    when(eq(lane(), warp_lanes() - 1), || checked(&last, warp_id()).set(own));
    barrier();
    let before = super::warp::shuffle_up(own, 1);
    let (first_lane, first_warp) = (eq(lane(), 0u32), eq(warp_id(), 0usize));
    let at = select(first_warp, warp_id(), warp_id() - 1);
    let before = select(first_lane, checked(&last, at).get(), before);
    barrier();
    select(ne(thread_rank(), 0usize), before, identity.into_val())
}

/// The sum of the values of the threads up to this one.
#[track_caller]
pub fn block_scan_sum<T: Num>(value: Val<T>) -> Val<T> {
    block_scan(value, |a, b| a + b)
}
