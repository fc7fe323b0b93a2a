//! Turns that warpgroups take at the tensor cores, by a named barrier each: who waits there, and the one
//! before, which comes to it when its products have begun.

use kernelsmith::prelude::*;

use super::config::Plan;

/// The barrier of a warpgroup's turn; 0 is that of the whole block.
fn id(own: usize) -> u32 {
    1 + own as u32
}

/// Both warpgroups of a turn.
const THREADS: u32 = 256;

/// Gives the first turn away: it is the first warpgroup's.
#[device]
pub(super) fn first_turn(#[comptime] plan: Plan, own: usize) {
    if plan.turns {
        if own == plan.warpgroups - 1 {
            barrier_arrive(id(0), THREADS);
        }
    }
}

/// Waits for this warpgroup's turn.
#[device]
pub(super) fn take_turn(#[comptime] plan: Plan, own: usize) {
    if plan.turns {
        for other in unroll(0..plan.warpgroups) {
            if own == other {
                barrier_sync(id(other), THREADS);
            }
        }
    }
}

/// The next one's turn.
#[device]
pub(super) fn pass_turn(#[comptime] plan: Plan, own: usize) {
    if plan.turns {
        for other in unroll(0..plan.warpgroups) {
            if own == other {
                barrier_arrive(id((other + 1) % plan.warpgroups), THREADS);
            }
        }
    }
}

/// Takes the turn that was given away last, so that no barrier is left with threads at it.
#[device]
pub(super) fn last_turn(#[comptime] plan: Plan, own: usize) {
    if plan.turns {
        if own == 0 {
            barrier_sync(id(0), THREADS);
        }
    }
}
