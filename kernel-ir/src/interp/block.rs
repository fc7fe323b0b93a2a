//! The threads of a block, and where they meet.

use std::cmp::Ordering;

use super::clock::{Who, share};
use super::finding::FindingKind;
use super::hall::Hall;
use super::program::Action;
use super::thread::{State, Thread};
use super::wgmma::is_of_warpgroup;
use super::world::{Report, World};
use crate::op::Opcode;

/// A block that runs.
pub(super) struct Block {
    /// Its number in its cluster.
    pub rank: usize,
    pub threads: Vec<Thread>,
    /// Threads that can go on.
    pub ready: Vec<u16>,
}

impl Block {
    pub(super) fn new(world: &World<'_>, number: u32, rank: usize) -> Block {
        let count: u32 = world.launch.block.iter().product();
        let thread = |thread: u16| Thread::new(world, Who { block: number, thread });
        Block {
            rank,
            threads: (0..count as u16).map(thread).collect(),
            ready: (0..count as u16).collect(),
        }
    }

    /// The threads of a thread's warp.
    fn warp(&self, world: &World<'_>, thread: u16) -> std::ops::Range<usize> {
        let size = world.launch.warp_size as usize;
        let start = usize::from(thread) / size * size;
        start..(start + size).min(self.threads.len())
    }

    /// After a thread has stopped: lets its warp, its warpgroup, then its block go on if all are
    /// there. Who is parked will come by without them.
    pub(super) fn stopped(&mut self, world: &mut World<'_>, hall: &mut Hall, thread: u16) {
        let moves = |t: &Thread| matches!(t.state, State::Ready | State::Parked);
        let warp = self.warp(world, thread);
        if world.stopped || self.threads[warp.clone()].iter().any(moves) {
            return;
        }
        self.meet(world, hall, warp, "warp");
        let size = usize::from(crate::wgmma::THREADS as u16);
        let start = usize::from(thread) / size * size;
        let group = start..(start + size).min(self.threads.len());
        // Other warps may let those go on that stand at a named barrier.
        let moves = |t: &Thread| moves(t) || t.awaits.is_some();
        if !world.stopped && !self.threads[group.clone()].iter().any(moves) {
            self.meet(world, hall, group, "warpgroup");
        }
        if !world.stopped && self.ready.is_empty() && !self.threads.iter().any(moves) {
            self.meet_block(world);
        }
    }

    /// The operation that a thread waits at.
    pub(super) fn waits_at(world: &World<'_>, thread: &Thread) -> Option<Opcode> {
        match (&world.program.steps[thread.pc as usize].action, thread.state) {
            (Action::Plain(plain), State::Waiting) => Some(plain.op),
            _ => None,
        }
    }

    /// No thread of a warp or warpgroup can go on alone.
    fn meet(
        &mut self,
        world: &mut World<'_>,
        hall: &mut Hall,
        group: std::ops::Range<usize>,
        name: &'static str,
    ) {
        let threads = &self.threads[group.clone()];
        let concerns = |t: &Thread| Self::waits_at(world, t).is_some_and(|op| group_of(op) == name);
        if !threads.iter().any(concerns) {
            return;
        }
        let waiting = threads.iter().filter(|t| t.state == State::Waiting);
        let order = |a: &&Thread, b: &&Thread| world.program.order(a.place(), b.place());
        let first = waiting.min_by(order).expect("some thread waits");
        let missing = |t: &&Thread| t.state != State::Waiting || order(t, &first).is_ne();
        if let Some(other) = threads.iter().find(missing) {
            let report = diverged(world, first, other, name);
            world.stopped = true;
            return report.into_iter().for_each(|report| world.report(report));
        }
        let Action::Plain(plain) = &world.program.steps[first.pc as usize].action else { return };
        let loc = world.program.loc(first.pc);
        match name {
            "warp" => self.together(world, hall, group.clone(), plain, loc),
            _ => self.together_four(world, hall, group.clone(), plain, loc),
        }
        self.go_on(group);
    }

    /// Lets those go on that wait.
    fn go_on(&mut self, group: std::ops::Range<usize>) {
        for thread in &mut self.threads[group] {
            if thread.state == State::Waiting {
                thread.state = State::Ready;
                thread.pc += 1;
                self.ready.push(thread.clock.who.thread);
            }
        }
    }

    /// Lets lanes know of all that they did before.
    pub(super) fn sync_warp(&mut self, warp: std::ops::Range<usize>) {
        let lanes = &mut self.threads[warp];
        share(lanes.iter_mut().map(|t| &mut t.clock));
        lanes.iter_mut().for_each(|t| t.clock.now.warp += 1);
    }

    /// No thread of the block can go on, and those that wait do so at barriers.
    fn meet_block(&mut self, world: &mut World<'_>) {
        let waiting = self.threads.iter().filter(|t| t.state == State::Waiting);
        let order = |a: &&Thread, b: &&Thread| world.program.order(a.place(), b.place());
        let Some(first) = waiting.min_by(order) else { return };
        let missing = |t: &&Thread| match t.state {
            State::Waiting => order(t, &first).is_ne(),
            // Who has returned before counts as there; who came by elsewhere and returned after
            // has left the barrier out.
            State::Ended => order(t, &first) == Ordering::Greater,
            _ => false,
        };
        if let Some(other) = self.threads.iter().find(missing) {
            let report = diverged(world, first, other, "block");
            world.stopped = true;
            return report.into_iter().for_each(|report| world.report(report));
        }
        share(self.threads.iter_mut().map(|t| &mut t.clock));
        let now = self.threads.iter().map(|t| t.clock.now.block).max().unwrap_or(0) + 1;
        for thread in &mut self.threads {
            (thread.clock.now.block, thread.clock.known_block) = (now, now);
        }
        self.go_on(0..self.threads.len());
    }
}

/// Whom an operation that threads wait at concerns.
const fn group_of(op: Opcode) -> &'static str {
    match op {
        Opcode::Barrier | Opcode::BarrierSync => "block",
        op if is_of_warpgroup(op) => "warpgroup",
        _ => "warp",
    }
}

/// One thread waits where another does not come. Nothing to say if that one failed: then the
/// failure is what is wrong.
fn diverged(
    world: &World<'_>,
    first: &Thread,
    other: &Thread,
    group: &'static str,
) -> Option<Report> {
    let op = Block::waits_at(world, first)?;
    let kind = match group_of(op) {
        "block" => FindingKind::DivergentBarrier,
        _ => FindingKind::DivergentCollective,
    };
    let what = match (other.state, Block::waits_at(world, other)) {
        (State::Failed, _) => return None,
        (_, Some(there)) if other.pc == first.pc => {
            format!("waits at the same `{}` in another iteration", there.name())
        }
        (_, Some(there)) => format!("waits at `{}`", there.name()),
        _ => "has returned".to_owned(),
    };
    let group = if kind == FindingKind::DivergentBarrier { "block" } else { group };
    Some(Report {
        kind,
        loc: world.program.loc(first.pc),
        who: first.clock.who,
        what: format!("waits at `{}`, which not every thread of the {group} reaches", op.name()),
        other: Some((other.clock.who, world.program.loc(other.pc), what)),
    })
}
