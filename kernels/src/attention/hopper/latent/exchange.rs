//! What the two warpgroups hand to each other: the weights of a tile, what they are taken against, and in the
//! end their sums.
//!
//! A warpgroup that has weighed a tile comes to the barrier of its own number and goes on; the other waits
//! there. The tiles alternate: who hands over has been handed those of the tile before, and the other had
//! read what is written over by then. Weights lie in the tile of keys itself, whose last columns nobody needs
//! any more once the scores are there, so that they are released with it.

use kernelsmith::prelude::*;

use super::super::rows::{Scores, TwoRows};
use super::plan::{COLUMNS, KEYS, ROWS};

/// Threads of both warpgroups.
pub(super) const BOTH: u32 = 256;

/// The barrier of what a warpgroup hands over; 0 is that of the whole block, 8 that of `clear`, 9 that of
/// [`combine`](super::super::combine).
fn handed(by: usize) -> u32 {
    1 + by as u32
}

/// That of its own warps.
fn alone(own: usize) -> u32 {
    3 + own as u32
}

/// That at which both wait.
const END: u32 = 5;

/// Where things are handed over.
#[derive(Clone, Copy)]
pub(super) struct Exchange {
    /// What the weights of each row are taken against, of each warpgroup.
    bases: Shared<f32>,
    /// Sums of rows' weights, of each warpgroup.
    sums: Shared<f32>,
}

impl Exchange {
    #[track_caller]
    pub(super) fn new() -> Exchange {
        Exchange { bases: shared(2 * ROWS), sums: shared(2 * ROWS) }
    }
}

/// Where the weights of a tile of keys lie, `ROWS x KEYS`: in its last columns.
#[track_caller]
pub(super) fn weights_of<T: Float>(keys: Tile<T>) -> Tile<T> {
    let parts = COLUMNS / KEYS;
    keys.part(parts - 1, parts)
}

#[device]
impl Exchange {
    /// Hands over the weights of a tile of keys that warpgroup `own` has weighed.
    pub(super) fn give<T: Float>(
        self,
        own: usize,
        keys: Tile<T>,
        weights: Scores<T, KEYS>,
        bases: [f32; 2],
    ) where
        Wgmma<T, KEYS>: WgmmaAtom<Input = T, Sum = f32>,
    {
        // The scores of all four warps are there.
        together(own);
        weights_of(keys).store_sums(weights, 0, 0, |_, _, x| x.cast::<T>());
        write_rows(self.bases, own, bases);
        async_fence();
        together(own);
        for who in unroll(0..2usize) {
            if own == who {
                barrier_arrive(handed(who), BOTH);
            }
        }
    }

    /// Waits for the other's weights; what they are taken against.
    pub(super) fn take(self, own: usize) -> [f32; 2] {
        for who in unroll(0..2usize) {
            if own == who {
                barrier_sync(handed(1 - who), BOTH);
            }
        }
        read_rows(self.bases, 1 - own)
    }

    /// The rows' sums over the weights of both, what they are taken against being the same. When this
    /// returns, nobody uses what was handed over any more.
    pub(super) fn whole(self, own: usize, rows: TwoRows) -> ([f32; 2], [f32; 2]) {
        let (bases, sums) = rows.whole();
        write_rows(self.sums, own, sums);
        barrier_sync(END, BOTH);
        let others = read_rows(self.sums, 1 - own);
        barrier_sync(END, BOTH);
        (bases, array(|half| sums[half] + others[half]))
    }
}

/// Waits for the warpgroup's own warps.
#[device]
fn together(own: usize) {
    for who in unroll(0..2usize) {
        if own == who {
            barrier_sync(alone(who), 128);
        }
    }
}

/// The place of one of the thread's rows in a warpgroup's part: all products' sums lie alike.
#[device]
fn place(own: usize, #[comptime] half: usize) -> usize {
    own * ROWS + Scores::<bf16, KEYS>::row(2 * half)
}

/// Four lanes share a row: one of them writes.
#[device]
fn write_rows(to: Shared<f32>, own: usize, rows: [f32; 2]) {
    if lane_id() % 4 == 0 {
        for half in unroll(0..2usize) {
            to[place(own, half)] = rows[half];
        }
    }
}

#[device]
fn read_rows(from: Shared<f32>, own: usize) -> [f32; 2] {
    array(|half| from[place(own, half)])
}
