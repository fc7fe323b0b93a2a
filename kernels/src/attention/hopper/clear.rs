//! What lies behind a sequence's last key.

use kernelsmith::prelude::*;

use crate::attention::element::AttentionElement;

/// Threads that do something together: neighbours, and their named barrier.
#[derive(Clone, Copy)]
pub(super) struct Threads {
    pub(super) first: u32,
    pub(super) count: u32,
    pub(super) barrier: u32,
}

impl Threads {
    /// Those of the warpgroups that multiply.
    pub(super) const fn multiplying(count: u32) -> Threads {
        Threads { first: 128, count, barrier: 8 }
    }
}

/// Makes rows from `first` on zeros: they are none of the sequence's, and their weights of 0 would not make
/// zeros of infinities. All of `threads` do this together.
#[device]
pub(super) fn clear<T: Stored + AttentionElement>(
    values: Tile<T>,
    first: usize,
    #[comptime] threads: Threads,
) {
    let (own, zero) = (thread_idx_x() - threads.first as usize, T::narrow(0.0));
    for row in first..values.rows() {
        for column in (own..values.columns()).step_by(threads.count as usize) {
            values.at(row, column).set(zero);
        }
    }
    // What was written is for products to read, or for copies to overwrite.
    async_fence();
    barrier_sync(threads.barrier, threads.count);
}
