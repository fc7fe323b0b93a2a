//! The barrier of a cluster, in two steps: to come, and to wait (PTX ISA, `barrier.cluster`).

use std::collections::HashSet;
use std::rc::Rc;

use super::clock::{Clock, Knowledge, Part, Who};
use super::finding::FindingKind;
use super::thread::{Parked, Run, State};
use crate::loc::Loc;

/// The threads of a cluster at their barrier.
pub(super) struct Gathering {
    /// Threads that have not ended.
    alive: usize,
    came: HashSet<Who>,
    /// How often all were there.
    time: u32,
    gathers: Knowledge,
    gathered: Rc<Knowledge>,
}

impl Gathering {
    pub(super) fn new(threads: usize) -> Gathering {
        Gathering {
            alive: threads,
            came: HashSet::new(),
            time: 0,
            gathers: Knowledge::default(),
            gathered: Rc::default(),
        }
    }

    /// How many have not come.
    pub(super) fn missing(&self) -> usize {
        self.alive - self.came.len()
    }

    /// Whether a thread has come, and others have not yet.
    pub(super) fn has_come(&self, who: Who) -> bool {
        self.came.contains(&who)
    }

    /// Whether the barrier was complete after this time.
    pub(super) fn is_past(&self, time: u32) -> bool {
        self.time > time
    }

    fn complete(&mut self) -> bool {
        let complete = !self.came.is_empty() && self.came.len() == self.alive;
        if complete {
            self.came.clear();
            self.gathered = Rc::new(std::mem::take(&mut self.gathers));
            self.time += 1;
        }
        complete
    }

    /// A thread has ended: the barrier no longer counts it. Whether it is complete without.
    pub(super) fn leaves(&mut self, who: Who) -> bool {
        self.alive -= 1;
        self.came.remove(&who);
        self.complete()
    }

    fn comes(&mut self, clock: &mut Clock) -> bool {
        self.came.insert(clock.who);
        // All of its block come here, so it is the block's time that they pass on, and later accesses
        // must have a later one. What others of the block did is known after the wait only.
        self.gathers.add(Part::Block(clock.who.block), clock.now.block + 1);
        clock.now.block += 1;
        if let Some(known) = &clock.acquired {
            self.gathers.join(known);
        }
        self.complete()
    }

    pub(super) fn passes(&self, clock: &mut Clock) {
        clock.acquire(&self.gathered);
    }
}

impl Run<'_, '_> {
    pub(super) fn cluster_arrive(&mut self, loc: Loc) {
        if self.thread.gathered.is_some() {
            let what = "comes to the cluster's barrier again, and has not waited there".to_owned();
            self.report(FindingKind::BarrierMisuse, loc, what);
            self.thread.state = State::Failed;
            return;
        }
        self.thread.gathered = Some(self.hall.gathering.time);
        self.hall.changed |= self.hall.gathering.comes(&mut self.thread.clock);
    }

    pub(super) fn cluster_wait(&mut self, loc: Loc) {
        let Some(time) = self.thread.gathered.take() else {
            let what = "waits at the cluster's barrier, and has not come there".to_owned();
            self.report(FindingKind::BarrierMisuse, loc, what);
            self.thread.state = State::Failed;
            return;
        };
        if self.hall.gathering.is_past(time) {
            self.hall.gathering.passes(&mut self.thread.clock);
        } else {
            self.thread.park(Parked::Cluster(time));
        }
    }
}
