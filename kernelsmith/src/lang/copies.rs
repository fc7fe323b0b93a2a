//! Asynchronous copies from buffers to shared memory: `cp.async` (PTX ISA, "Data Movement and
//! Conversion Instructions: cp.async"; sm_80 and newer). AMD and the CPU copy at once.
//!
//! A thread's copies go on while it computes. [`cp_async_commit`] closes a group of them,
//! [`cp_async_wait`] waits for groups, and a [`barrier`](super::thread::barrier) after that shows
//! to the other threads what they brought.

use kernelsmith_ir::{Attr, Opcode};

use super::element::Stored;
use super::index::{KernelIndex, Memory, unchecked};
use super::matrix::aligned;
use super::memory::Slice;
use super::shared::Shared;
use super::stage::build;
use super::val::Val;

/// Begins to copy `N` elements `from[from_index..]` to `to[to_index..]`.
///
/// `N` elements are 4, 8 or 16 bytes, which rustc checks. Both indices are multiples of `N`; that
/// and the bounds are checked when the kernel runs. (The buffer begins at a multiple of 16 bytes,
/// as every buffer and no sub-view does by itself.)
#[track_caller]
pub fn cp_async<const N: usize, T: Stored>(
    to: Shared<T>,
    to_index: impl KernelIndex,
    from: Slice<T>,
    from_index: impl KernelIndex,
) {
    let rule = "the indices of cp_async are multiples of its number of elements";
    aligned(to_index, N, rule);
    aligned(from_index, N, rule);
    let (to_index, from_index) = (to_index.value(), from_index.value());
    check_last::<N, T>(&to, to_index);
    check_last::<N, T>(&from, from_index);
    // SAFETY: both ranges were just checked on every thread that gets here.
    unsafe { cp_async_unchecked::<N, T>(to, to_index, from, from_index) }
}

/// [`cp_async`] without its checks.
///
/// # Safety
/// On every thread that gets here, both indices are multiples of `N` and `N` elements from them on
/// are in bounds.
#[track_caller]
pub unsafe fn cp_async_unchecked<const N: usize, T: Stored>(
    to: Shared<T>,
    to_index: impl KernelIndex,
    from: Slice<T>,
    from_index: impl KernelIndex,
) {
    const {
        let bytes = N * T::TYPE.size() as usize;
        assert!(bytes == 4 || bytes == 8 || bytes == 16, "cp_async copies 4, 8 or 16 bytes");
    }
    let bytes = N as u32 * T::TYPE.size();
    let operands = [unchecked(&to, to_index).address(), unchecked(&from, from_index).address()];
    build(|b| b.emit(Opcode::CpAsync, Attr::Count(bytes), &operands, &[]));
}

/// Closes a group of this thread's copies.
#[track_caller]
pub fn cp_async_commit() {
    build(|b| b.emit(Opcode::CpAsyncCommit, Attr::None, &[], &[]));
}

/// Waits until at most the `pending` latest groups of this thread's copies are in flight.
#[track_caller]
pub fn cp_async_wait(pending: u32) {
    build(|b| b.emit(Opcode::CpAsyncWait, Attr::Count(pending), &[], &[]));
}

#[track_caller]
fn check_last<const N: usize, T: Stored>(memory: &impl Memory<T>, index: Val<usize>) {
    let (last, len) = (index + (N - 1), memory.length());
    build(|b| b.check_bounds(last.id, len.id));
}
