//! Asynchronous copies: bytes that arrive at any time between the instruction and the wait.
//!
//! PTX ISA, "Data Movement and Conversion Instructions: Asynchronous copy": nothing orders such a
//! copy with the accesses of any thread, the copying one's included, until that thread waits.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;

use super::access::{Access, Home, Spot};
use super::flight::{Cargo, Flight};
use super::hall::Hall;
use super::program::Plain;
use super::shadow::{Copying, Landed, Sort};
use super::thread::Run;
use super::world::World;
use crate::loc::Loc;

/// A copy on its way: its thread may wait for it, and arrivals at barriers may come with it.
#[derive(Clone, Debug)]
pub(super) struct Copy {
    pub copy: Copying,
    pub to: Spot,
    pub from: Spot,
    arrived: Rc<Cell<bool>>,
    /// Set when it came with an arrival.
    pub landed: Rc<Cell<Option<Landed>>>,
}

impl Copy {
    /// Its bytes arrive.
    pub(super) fn arrive(&self, world: &mut World<'_>, hall: &mut Hall) {
        if self.arrived.replace(true) {
            return;
        }
        let Home::Buffer(number, _) = self.from.home else { return };
        let Home::Shared(rank) = self.to.home else { return };
        let bytes = world.memory.bytes(number).get(self.from.range());
        hall.rooms[usize::from(rank)].shared.put(self.to.at, bytes);
    }
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
        let copy = self.world.new_copy();
        let Some(from) = self.reach(access(from, Sort::CopyRead(copy))) else { return };
        let Some(to) = self.reach(access(to, Sort::CopyWrite(copy))) else { return };
        self.touch(&from, Sort::CopyRead(copy), loc);
        self.touch(&to, Sort::CopyWrite(copy), loc);
        let copy = Copy { copy, to, from, arrived: Rc::default(), landed: Rc::default() };
        if self.world.rng.one_in(3) {
            copy.arrive(self.world, self.hall);
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
        for copy in &self.thread.copies.groups[which] {
            copy.arrive(self.world, self.hall);
        }
    }

    pub(super) fn wait_for_copies(&mut self, left: usize) {
        while self.thread.copies.groups.len() > left {
            for copy in self.thread.copies.groups.pop_front().unwrap_or_default() {
                copy.arrive(self.world, self.hall);
                copy.awaited(self.world, self.hall, &mut self.thread.clock);
            }
        }
    }

    /// Comes to a barrier when the copies so far have arrived.
    pub(super) fn arrive_with_copies(&mut self, rank: usize, barrier: usize, loc: Loc) {
        let all = &self.thread.copies;
        let copies = all.groups.iter().flatten().chain(&all.open);
        let copies = copies.filter(|copy| copy.landed.get().is_none()).cloned().collect();
        let (who, warp) = (self.thread.clock.who, self.thread.clock.warp);
        let cargo = Cargo::Arrival { copies, rank, barrier };
        let copy = self.world.new_copy();
        self.hall.flights.push(Flight { copy, who, warp, loc, cargo });
    }

    /// The thread ends: its copies still arrive, but nobody can wait for them any more.
    pub(super) fn abandon_copies(&mut self) {
        let copies = std::mem::take(&mut self.thread.copies);
        for copy in copies.groups.into_iter().flatten().chain(copies.open) {
            copy.arrive(self.world, self.hall);
        }
    }
}
