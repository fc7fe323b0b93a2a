//! Fences between what threads write and what the asynchronous proxy reads.
//!
//! Bulk copies and `wgmma` reach shared memory on another way than threads do, the asynchronous
//! proxy (PTX ISA, "Async proxy"); barriers alone do not make a thread's writes visible there. The
//! thread that wrote must have executed an `async_fence`, before what orders it with the reader.

use std::collections::HashMap;
use std::ops::Range;

use super::area::PIECE;
use super::clock::{Clock, Knows, Time, Who};
use super::finding::FindingKind;
use super::hall::Hall;
use super::shadow::Sort;
use super::world::Report;
use crate::loc::Loc;

/// When each thread has let the asynchronous proxy see what it wrote.
#[derive(Default)]
pub(super) struct Fences(HashMap<Who, Vec<Time>>);

impl Fences {
    /// A thread does so now.
    pub(super) fn add(&mut self, clock: &mut Clock) {
        self.0.entry(clock.who).or_default().push(clock.now);
        // Writes before the fence and those after it are told apart by this count.
        clock.now.releases += 1;
    }

    /// Whether a thread's write at a time was followed by a fence of that thread that is known.
    fn cover(&self, who: Who, warp: u16, time: Time, knower: &impl Knows) -> bool {
        let Some(fences) = self.0.get(&who) else { return false };
        let after = fences.partition_point(|fence| fence.releases < time.releases);
        fences.get(after).is_some_and(|&fence| knower.knows(who, warp, fence))
    }
}

impl Hall {
    /// What is to be reported of an asynchronous read of a block's memory: a thread wrote there, and
    /// has not let it see that. Unordered writes are reported elsewhere.
    pub(super) fn unfenced(
        &mut self,
        rank: usize,
        range: Range<usize>,
        (who, sort, loc): (Who, Sort, Loc),
        knower: &impl Knows,
    ) -> Option<Report> {
        let fences = &self.fences;
        let covered = |who, warp, time| {
            !knower.knows(who, warp, time) || fences.cover(who, warp, time, knower)
        };
        let room = &mut self.rooms[rank];
        let write = room.shadow.find_write(range.clone(), PIECE, covered)?;
        let what = format!(
            "{} {} bytes of shared memory without an `async_fence` between by the thread that wrote \
             them",
            sort.verb(),
            range.len()
        );
        let other = Some((write.who, write.loc, write.past().to_owned()));
        Some(Report { kind: FindingKind::MissingFence, loc, who, what, other })
    }
}
