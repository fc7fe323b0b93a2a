//! Who knows of whose accesses: vector clocks over threads, warps and blocks.
//!
//! An access happens before a thread's present if the thread knows of it. Most of what threads know
//! comes from barriers, where all of a block (or of a warp) know all that was done before. So time
//! is counted three times: each block counts its barriers, each warp its synchronisations, each
//! thread its releases; an access carries all three numbers. A thread knows, without keeping a
//! list, of everything in its own block at smaller barrier counts, of everything in its own warp at
//! smaller synchronisation counts, and of everything of its own. What came by an acquire from
//! elsewhere is kept in a sparse [`Knowledge`], whose entries are of the same three sorts. That is
//! exact, as a full vector clock is, and small, as there are few acquires.

use std::collections::HashMap;
use std::rc::Rc;

/// A thread of the launch: its block and its number in it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Who {
    pub block: u32,
    pub thread: u16,
}

/// When an access happened, counted for its thread, warp and block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Time {
    pub releases: u32,
    pub warp: u32,
    pub block: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Part {
    Thread(Who),
    Warp(u32, u16),
    Block(u32),
}

/// What is known of others: all accesses below these counts.
#[derive(Clone, Default, Debug)]
pub(super) struct Knowledge(HashMap<Part, u32>);

impl Knowledge {
    fn add(&mut self, part: Part, below: u32) {
        let known = self.0.entry(part).or_default();
        *known = below.max(*known);
    }

    fn below(&self, part: Part) -> u32 {
        self.0.get(&part).copied().unwrap_or(0)
    }

    /// Adds what somebody else knows.
    pub(super) fn join(&mut self, other: &Knowledge) {
        for (&part, &below) in &other.0 {
            self.add(part, below);
        }
    }
}

/// A thread's present.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    pub who: Who,
    /// The warp's number in its block, and the lane in it.
    pub warp: u16,
    pub lane: u8,
    pub now: Time,
    /// What was acquired from elsewhere.
    pub acquired: Option<Rc<Knowledge>>,
}

impl Clock {
    pub(super) fn new(who: Who, warp_size: u32) -> Clock {
        let thread = u32::from(who.thread);
        Clock {
            who,
            warp: (thread / warp_size) as u16,
            lane: (thread % warp_size) as u8,
            now: Time { releases: 0, warp: 0, block: 0 },
            acquired: None,
        }
    }

    /// Whether this thread knows of an access of a thread of warp `warp`.
    pub(super) fn knows(&self, who: Who, warp: u16, time: Time) -> bool {
        if who.block == self.who.block {
            let own = who.thread == self.who.thread;
            let own_warp = warp == self.warp && time.warp < self.now.warp;
            if own || own_warp || time.block < self.now.block {
                return true;
            }
        }
        self.acquired.as_ref().is_some_and(|known| {
            known.below(Part::Thread(who)) > time.releases
                || known.below(Part::Warp(who.block, warp)) > time.warp
                || known.below(Part::Block(who.block)) > time.block
        })
    }

    /// What others learn from a release now; later accesses are not among it.
    pub(super) fn release(&mut self) -> Knowledge {
        let mut all = self.acquired.as_deref().cloned().unwrap_or_default();
        let Who { block, .. } = self.who;
        all.add(Part::Thread(self.who), self.now.releases + 1);
        all.add(Part::Warp(block, self.warp), self.now.warp);
        all.add(Part::Block(block), self.now.block);
        self.now.releases += 1;
        all
    }

    /// Learns what somebody released.
    pub(super) fn acquire(&mut self, known: &Rc<Knowledge>) {
        match &mut self.acquired {
            None => self.acquired = Some(known.clone()),
            Some(own) if Rc::ptr_eq(own, known) => {}
            Some(own) => Rc::make_mut(own).join(known),
        }
    }
}

/// Lets threads that synchronise learn what each of them acquired.
pub(super) fn share<'c>(clocks: impl Iterator<Item = &'c mut Clock>) {
    let mut clocks: Vec<&mut Clock> = clocks.collect();
    let mut all: Option<Rc<Knowledge>> = None;
    for clock in &clocks {
        match (&mut all, &clock.acquired) {
            (_, None) => {}
            (None, Some(known)) => all = Some(known.clone()),
            (Some(all), Some(known)) if Rc::ptr_eq(all, known) => {}
            (Some(all), Some(known)) => Rc::make_mut(all).join(known),
        }
    }
    if all.is_some() {
        clocks.iter_mut().for_each(|clock| clock.acquired.clone_from(&all));
    }
}
