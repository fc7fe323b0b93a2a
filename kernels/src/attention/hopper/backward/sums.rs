//! What the storing warp does: it adds dQ to that of other blocks, by the copy engine.

use kernelsmith::prelude::*;

use super::work::{Piece, Shape};
use crate::attention::form::Form;

/// Warpgroups that multiply.
pub(super) const GROUPS: usize = 2;

/// Who releases a stage: a thread of each of them.
pub(super) const RELEASES: u32 = GROUPS as u32;

/// Threads of a warpgroup that multiplies, and the storing warp.
const WITH_STORES: u32 = 128 + 32;

/// Who meets at a named barrier of a warpgroup that multiplies.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Meeting {
    /// Itself and the storing warp: its sums may be written.
    Empty,
    /// Both again: they have been.
    Full,
    /// Itself.
    Alone,
}

/// The barrier at which both warpgroups have written what both read.
const SHARED: u32 = 1;

impl Meeting {
    /// Its number, and how many come.
    fn of(self, own: usize) -> (u32, u32) {
        let own = own as u32;
        match self {
            Meeting::Empty => (2 + own, WITH_STORES),
            Meeting::Full => (4 + own, WITH_STORES),
            Meeting::Alone => (6 + own, 128),
        }
    }

    fn waits(self, own: usize) {
        let (id, threads) = self.of(own);
        barrier_sync(id, threads);
    }

    fn passes(self, own: usize) {
        let (id, threads) = self.of(own);
        barrier_arrive(id, threads);
    }
}

/// Waits for both warpgroups that multiply.
pub(super) fn meet_all() {
    barrier_sync(SHARED, 128 * GROUPS as u32);
}

/// Waits at a barrier of the warpgroup `own`.
#[device]
pub(super) fn meet(#[comptime] meeting: Meeting, own: usize) {
    for other in unroll(0..GROUPS) {
        if own == other {
            meeting.waits(other);
        }
    }
}

/// Comes to a barrier of the warpgroup `own`.
#[device]
pub(super) fn pass(#[comptime] meeting: Meeting, own: usize) {
    for other in unroll(0..GROUPS) {
        if own == other {
            meeting.passes(other);
        }
    }
}

/// Copies that are begun behind those of a warpgroup's part.
fn behind(own: usize) -> u32 {
    (GROUPS - 1 - own) as u32
}

/// Where the parts of dQ of the two warpgroups are: halves of a tile's queries, or of its columns.
#[derive(Clone, Copy)]
pub(super) struct Parts {
    /// Queries from one to the next.
    pub(super) down: usize,
    /// Columns.
    pub(super) across: usize,
}

/// What is added.
pub(super) struct Added {
    /// Queries and keys of tiles.
    pub(super) rows: usize,
    pub(super) keys: usize,
    /// Parts that a warpgroup's dQ comes in, one after another.
    pub(super) parts: usize,
    /// Those of the warpgroups.
    pub(super) tiles: Tiles<f32>,
}

/// Adds each tile of dQ to `to` when the warpgroups have written it.
///
/// With `turns`, the blocks whose keys a tile of queries sees add in the order of their keys, so that sums
/// are the same bits every time: `turns[1 + tile]`, counted through all heads, says how many have added.
/// A block waits for blocks with smaller tickets only, which have begun; so the one with the smallest goes
/// on whatever the others do, and all do in the end.
#[device]
pub(super) fn add(
    shape: Shape,
    piece: Piece,
    #[comptime] form: Form,
    #[comptime] added: Added,
    #[comptime] to: TensorTileMut<f32, 2>,
    #[comptime] turns: Option<SliceMut<u32>>,
) {
    let Added { rows, keys, parts, tiles } = added;
    let leads = lane_id() == 0;
    let seen = shape.seen(form);
    for own in unroll(0..GROUPS) {
        Meeting::Empty.passes(own);
    }
    for head in 0..shape.group {
        let line = piece.line * shape.group + head;
        for tile in piece.lo..piece.hi {
            let number = line * shape.m.div_ceil(rows) + tile;
            let turn = 1 + number;
            if let Some(turns) = turns {
                if leads {
                    let before = piece.tile - seen.first_key(tile * rows) / keys;
                    let before = before as u32;
                    while turns.atomic(turn).load(Ordering::Acquire, Scope::Device) != before {}
                }
                warp_sync();
            }
            for part in unroll(0..parts) {
                for own in unroll(0..GROUPS) {
                    Meeting::Full.waits(own);
                    if leads {
                        let sums = tiles.stage(own);
                        let at = (number * GROUPS + own) * (parts * sums.rows());
                        sums.store_add(to, [at + part * sums.rows(), 0]);
                        bulk_commit();
                    }
                    warp_sync();
                }
                for own in unroll(0..GROUPS) {
                    if leads {
                        bulk_wait_read(behind(own));
                    }
                    warp_sync();
                    Meeting::Empty.passes(own);
                }
            }
            if let Some(turns) = turns {
                if leads {
                    bulk_wait(0);
                    turns.atomic(turn).fetch_add(1, Ordering::Release, Scope::Device);
                }
                warp_sync();
            }
        }
    }
    if leads {
        bulk_wait(0);
    }
}
