//! The threads of a block, and where they meet.

use std::cmp::Ordering;

use super::clock::{Who, share};
use super::finding::FindingKind;
use super::memory::Bytes;
use super::named::Named;
use super::program::Action;
use super::shadow::Shadow;
use super::thread::{State, Thread};
use super::world::{Report, World};
use crate::op::Opcode;

/// What the threads of a block share.
pub(super) struct Room {
    /// The block's number in the grid.
    pub number: u32,
    pub shared: Bytes,
    pub shadow: Shadow,
    pub named: [Named; 16],
    layout: (Vec<u32>, u32),
}

impl Room {
    /// Where each shared array begins, and the bytes of the static ones.
    pub(super) fn shared_layout(&self) -> &(Vec<u32>, u32) {
        &self.layout
    }
}

/// A block that runs.
pub(super) struct Block {
    pub room: Room,
    pub threads: Vec<Thread>,
    /// Threads that can go on.
    pub ready: Vec<u16>,
}

impl Block {
    pub(super) fn new(world: &World<'_>, number: u32) -> Block {
        let layout = world.program.kernel().shared_layout();
        let dynamic = layout.0.iter().zip(&world.program.kernel().shared);
        let start = dynamic.filter(|(_, decl)| decl.len.is_none()).map(|(&at, _)| at).max();
        let bytes = start.unwrap_or(layout.1).max(layout.1) + world.launch.dynamic_shared;
        let count: u32 = world.launch.block.iter().product();
        let thread = |thread: u16| Thread::new(world, Who { block: number, thread });
        Block {
            room: Room {
                number,
                shared: Bytes::unwritten(bytes as usize),
                shadow: Shadow::new(bytes as usize, world.launch.warp_size),
                named: Default::default(),
                layout,
            },
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

    /// After a thread has stopped: lets its warp, then its block go on if all are there.
    pub(super) fn stopped(&mut self, world: &mut World<'_>, thread: u16) {
        let warp = self.warp(world, thread);
        let ready = |threads: &[Thread]| threads.iter().any(|t| t.state == State::Ready);
        if world.stopped || ready(&self.threads[warp.clone()]) {
            return;
        }
        self.meet_warp(world, warp.clone());
        if !world.stopped && self.ready.is_empty() && !ready(&self.threads) {
            self.meet_block(world);
        }
    }

    /// The operation that a thread waits at.
    fn waits_at(world: &World<'_>, thread: &Thread) -> Option<Opcode> {
        match (&world.program.steps[thread.pc as usize].action, thread.state) {
            (Action::Plain(plain), State::Waiting) => Some(plain.op),
            _ => None,
        }
    }

    /// No lane of the warp can go on alone.
    fn meet_warp(&mut self, world: &mut World<'_>, warp: std::ops::Range<usize>) {
        let lanes = &self.threads[warp.clone()];
        let collective = |t: &&Thread| {
            let barriers = [Opcode::Barrier, Opcode::BarrierSync];
            Self::waits_at(world, t).is_some_and(|op| !barriers.contains(&op))
        };
        if !lanes.iter().any(|t| collective(&t)) {
            return;
        }
        let waiting = lanes.iter().filter(|t| t.state == State::Waiting);
        let order = |a: &&Thread, b: &&Thread| world.program.order(a.place(), b.place());
        let first = waiting.min_by(order).expect("some lane waits");
        let missing = |t: &&Thread| t.state != State::Waiting || order(t, &first).is_ne();
        if let Some(other) = lanes.iter().find(missing) {
            let report = diverged(world, first, other);
            world.stopped = true;
            return report.into_iter().for_each(|report| world.report(report));
        }
        let Action::Plain(plain) = &world.program.steps[first.pc as usize].action else { return };
        let loc = world.program.loc(first.pc);
        self.together(world, warp.clone(), plain, loc);
        for thread in &mut self.threads[warp.clone()] {
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
        if let Some(waiting) = self.threads.iter().find(|t| t.awaits.is_some()) {
            let failed = self.threads.iter().any(|t| t.state == State::Failed);
            let report = (!failed).then(|| self.room.incomplete(world, waiting)).flatten();
            world.stopped = true;
            return report.into_iter().for_each(|report| world.report(report));
        }
        let missing = |t: &&Thread| match t.state {
            State::Waiting => order(t, &first).is_ne(),
            // Who has returned before counts as there; who came by elsewhere and returned after
            // has left the barrier out.
            State::Ended => order(t, &first) == Ordering::Greater,
            _ => false,
        };
        if let Some(other) = self.threads.iter().find(missing) {
            let report = diverged(world, first, other);
            world.stopped = true;
            return report.into_iter().for_each(|report| world.report(report));
        }
        share(self.threads.iter_mut().map(|t| &mut t.clock));
        for thread in &mut self.threads {
            thread.clock.now.block += 1;
            if thread.state == State::Waiting {
                thread.state = State::Ready;
                thread.pc += 1;
                self.ready.push(thread.clock.who.thread);
            }
        }
    }
}

/// One thread waits where another does not come. Nothing to say if that one failed: then the
/// failure is what is wrong.
fn diverged(world: &World<'_>, first: &Thread, other: &Thread) -> Option<Report> {
    let op = Block::waits_at(world, first)?;
    let (kind, group) = match op {
        Opcode::Barrier => (FindingKind::DivergentBarrier, "block"),
        _ => (FindingKind::DivergentCollective, "warp"),
    };
    let what = match (other.state, Block::waits_at(world, other)) {
        (State::Failed, _) => return None,
        (_, Some(there)) if other.pc == first.pc => {
            format!("waits at the same `{}` in another iteration", there.name())
        }
        (_, Some(there)) => format!("waits at `{}`", there.name()),
        _ => "has returned".to_owned(),
    };
    Some(Report {
        kind,
        loc: world.program.loc(first.pc),
        who: first.clock.who,
        what: format!("waits at `{}`, which not every thread of the {group} reaches", op.name()),
        other: Some((other.clock.who, world.program.loc(other.pc), what)),
    })
}
