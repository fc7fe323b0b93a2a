//! What must be over before a block ends: its shared memory is then another block's.
//!
//! Accesses from other blocks of the cluster, and copies, come into a block's memory without that
//! it knows. If no thread of the block knows of one when it ends, then in some schedule the block is
//! gone before (CUDA C++ Programming Guide, "Distributed Shared Memory": all blocks must exist, and
//! stay until operations on their memory are done).

use super::clock::{Clock, Knows, Time, Who};
use super::finding::FindingKind;
use super::shadow::Landed;
use super::world::Report;
use crate::loc::Loc;

/// An access to a block's memory from elsewhere.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    /// The thread that did it, or began it, and its warp.
    pub who: Who,
    pub warp: u16,
    pub when: When,
    pub loc: Loc,
    pub what: &'static str,
}

/// When it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum When {
    /// A thread did it then.
    Done(Time),
    /// A copy did.
    Landed(Landed),
    /// It has not happened yet.
    Coming,
}

impl Visit {
    /// Whether a thread knows that it is over.
    pub(super) fn is_known(&self, clock: &Clock) -> bool {
        match self.when {
            When::Done(time) => clock.knows(self.who, self.warp, time),
            When::Landed((part, time)) => clock.knows_part(part, time),
            When::Coming => false,
        }
    }

    /// Whether who knows of this one knows of another, too.
    fn covers(&self, other: &Visit) -> bool {
        match (self.when, other.when) {
            (When::Done(_), When::Done(_)) => (self.who, self.loc) == (other.who, other.loc),
            (When::Landed((part, _)), When::Landed((other, _))) => part == other,
            _ => false,
        }
    }

    /// That a block whose last thread was `last` did not wait for it.
    pub(super) fn report(&self, kind: FindingKind, last: Who) -> Report {
        Report {
            kind,
            loc: self.loc,
            who: self.who,
            what: format!(
                "{} the shared memory of block {}, and no thread of that block knows that it is \
                 over before the block ends",
                self.what, last.block
            ),
            other: None,
        }
    }
}

/// Adds a visit to others.
pub(super) fn note(visits: &mut Vec<Visit>, visit: Visit) {
    visits.retain(|earlier| !visit.covers(earlier));
    visits.push(visit);
}
