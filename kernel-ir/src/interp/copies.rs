//! Asynchronous copies: bytes that arrive at any time between the instruction and the wait.
//!
//! PTX ISA, "Data Movement and Conversion Instructions: Asynchronous copy": nothing orders such a
//! copy with the accesses of any thread, the copying one's included, until that thread waits.

use std::collections::VecDeque;

use super::access::{Access, Home, Spot};
use super::program::Plain;
use super::shadow::{Shadow, Sort};
use super::thread::Run;
use crate::loc::Loc;

/// A copy on its way.
#[derive(Clone, Copy, Debug)]
struct Copy {
    to: Spot,
    from: Spot,
    arrived: bool,
}

/// The copies of a thread.
#[derive(Clone, Default, Debug)]
pub(super) struct Copies {
    /// Those of no group yet.
    open: Vec<Copy>,
    /// Committed groups, the oldest first.
    groups: VecDeque<Vec<Copy>>,
}

impl Run<'_, '_> {
    pub(super) fn begin_copy(&mut self, plain: &Plain, bytes: usize, loc: Loc) {
        let [to, from] = [plain.operands[0], plain.operands[1]];
        let access = |pointer, sort| Access { pointer, bytes, align: bytes, sort, loc };
        let Some(from) = self.reach(access(from, Sort::CopyRead)) else { return };
        let Some(to) = self.reach(access(to, Sort::CopyWrite)) else { return };
        self.touch(&from, Sort::CopyRead, loc);
        self.touch(&to, Sort::CopyWrite, loc);
        let mut copy = Copy { to, from, arrived: false };
        if self.world.rng.one_in(3) {
            self.arrive(&mut copy);
        }
        self.thread.copies.open.push(copy);
    }

    pub(super) fn commit_copies(&mut self) {
        let group = std::mem::take(&mut self.thread.copies.open);
        self.thread.copies.groups.push_back(group);
        self.some_copies_arrive();
    }

    /// Lets a group arrive, or none.
    pub(super) fn some_copies_arrive(&mut self) {
        let groups = self.thread.copies.groups.len();
        if groups == 0 || !self.world.rng.one_in(2) {
            return;
        }
        let which = self.world.rng.below(groups);
        let mut group = std::mem::take(&mut self.thread.copies.groups[which]);
        group.iter_mut().for_each(|copy| self.arrive(copy));
        self.thread.copies.groups[which] = group;
    }

    pub(super) fn wait_for_copies(&mut self, left: usize) {
        while self.thread.copies.groups.len() > left {
            for mut copy in self.thread.copies.groups.pop_front().unwrap_or_default() {
                self.arrive(&mut copy);
                self.settle(&copy.to, Sort::CopyWrite);
                self.settle(&copy.from, Sort::CopyRead);
            }
        }
    }

    /// The thread ends: its copies still arrive, but nobody can wait for them any more.
    pub(super) fn abandon_copies(&mut self) {
        let copies = std::mem::take(&mut self.thread.copies);
        for mut copy in copies.groups.into_iter().flatten().chain(copies.open) {
            self.arrive(&mut copy);
        }
    }

    fn arrive(&mut self, copy: &mut Copy) {
        if !std::mem::replace(&mut copy.arrived, true) {
            let bytes = self.home(copy.from.home).get(copy.from.range()).to_vec();
            self.home_mut(copy.to.home).put(copy.to.at, &bytes);
        }
    }

    fn settle(&mut self, spot: &Spot, sort: Sort) {
        let shadow: &mut Shadow = match spot.home {
            Home::Buffer(_, Some(shadow)) => &mut self.world.shadows[shadow],
            Home::Shared => &mut self.room.shadow,
            Home::Buffer(_, None) | Home::Local(_) => return,
        };
        shadow.settle(spot.range(), spot.grain, &self.thread.clock, sort);
    }
}
