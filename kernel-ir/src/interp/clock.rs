//! Who knows of whose accesses: vector clocks over threads, warps and blocks.
//!
//! An access happens before a thread's present if the thread knows of it. Most of what threads know
//! comes from barriers, where all of a block (or of a warp) know all that was done before. So time
//! is counted three times: each block counts its barriers, each warp its synchronisations, each
//! thread its releases; an access carries all three numbers. A thread knows, without keeping a
//! list, of everything in its own block at smaller barrier counts, of everything in its own warp at
//! smaller synchronisation counts, and of everything of its own. What came by an acquire from
//! elsewhere is kept in a sparse [`Knowledge`], whose entries are of the same three sorts. That is
//! exact, as a full vector clock is, and small, as there are few acquires. What engines do by
//! themselves is counted as that of two more sorts of parts: copies by the phases of the barrier that
//! counts them, matrix instructions one by one.

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

/// Whose time is counted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Part {
    Thread(Who),
    Warp(u32, u16),
    Block(u32),
    /// Copies that the barrier at this place of a block's shared memory counts, by its phases.
    Copies(u32, u32),
    /// The matrix instructions of a block's warpgroup, one by one.
    Wgmma(u32, u16),
}

/// Somebody, or several together, who know of what was done before.
pub(super) trait Knows {
    /// Whether an access of a thread of warp `warp` is known.
    fn knows(&self, who: Who, warp: u16, time: Time) -> bool;

    /// Whether what a part did at a time is known.
    fn knows_part(&self, part: Part, time: u32) -> bool;
}

/// What is known of others: all accesses below these counts.
#[derive(Clone, Default, Debug)]
pub(super) struct Knowledge(HashMap<Part, u32>);

impl Knowledge {
    pub(super) fn add(&mut self, part: Part, below: u32) {
        let known = self.0.entry(part).or_default();
        *known = below.max(*known);
    }

    fn below(&self, part: Part) -> u32 {
        self.0.get(&part).copied().unwrap_or(0)
    }

    /// Of one part, all below a count.
    pub(super) fn of(part: Part, below: u32) -> Knowledge {
        Knowledge(HashMap::from([(part, below)]))
    }

    /// Whether somebody else knows all of this.
    fn is_within(&self, other: &Knowledge) -> bool {
        self.0.iter().all(|(&part, &below)| below <= other.below(part))
    }

    /// Adds what somebody else knows of engines: what they brought, and multiplied.
    pub(super) fn join_engines(&mut self, other: &Knowledge) {
        for (&part, &below) in &other.0 {
            if matches!(part, Part::Copies(..) | Part::Wgmma(..)) {
                self.add(part, below);
            }
        }
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
    /// All of its block that was done below this count is known.
    pub known_block: u32,
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
            known_block: 0,
            acquired: None,
        }
    }

    /// What others learn from a release now; later accesses are not among it.
    pub(super) fn release(&mut self) -> Knowledge {
        let mut all = self.acquired.as_deref().cloned().unwrap_or_default();
        let Who { block, .. } = self.who;
        all.add(Part::Thread(self.who), self.now.releases + 1);
        all.add(Part::Warp(block, self.warp), self.now.warp);
        all.add(Part::Block(block), self.known_block);
        self.now.releases += 1;
        all
    }

    /// Learns what somebody released.
    pub(super) fn acquire(&mut self, known: &Rc<Knowledge>) {
        match &mut self.acquired {
            None => self.acquired = Some(known.clone()),
            Some(own) if Rc::ptr_eq(own, known) => {}
            // One list for many threads, where it can be.
            Some(own) if own.is_within(known) => *own = known.clone(),
            Some(own) => Rc::make_mut(own).join(known),
        }
    }

    /// What it knows of a part without a list.
    fn implied(&self, part: Part) -> u32 {
        let Who { block, .. } = self.who;
        match part {
            Part::Thread(who) if who == self.who => u32::MAX,
            Part::Warp(b, warp) if (b, warp) == (block, self.warp) => self.now.warp,
            Part::Block(b) if b == block => self.known_block,
            _ => 0,
        }
    }
}

impl Knows for Clock {
    fn knows(&self, who: Who, warp: u16, time: Time) -> bool {
        if who.block == self.who.block {
            let own = who.thread == self.who.thread;
            let own_warp = warp == self.warp && time.warp < self.now.warp;
            if own || own_warp || time.block < self.known_block {
                return true;
            }
        }
        self.acquired.as_ref().is_some_and(|known| {
            known.below(Part::Thread(who)) > time.releases
                || known.below(Part::Warp(who.block, warp)) > time.warp
                || known.below(Part::Block(who.block)) > time.block
        })
    }

    fn knows_part(&self, part: Part, time: u32) -> bool {
        self.acquired.as_ref().is_some_and(|known| known.below(part) > time)
    }
}

/// Threads of one block that do something together, and all must know what came before.
pub(super) struct Together<'c> {
    clocks: Vec<&'c Clock>,
    /// What surely each of them knows: asked first, since a list for each would take long to ask.
    common: Clock,
}

impl<'c> Together<'c> {
    pub(super) fn new(clocks: Vec<&'c Clock>) -> Together<'c> {
        // A thread that there is not, of a warp that there is not.
        let who = Who { block: clocks[0].who.block, thread: u16::MAX };
        let mut common = Clock { who, warp: u16::MAX, ..clocks[0].clone() };
        common.known_block = clocks.iter().map(|c| c.known_block).min().unwrap_or(0);
        let same = |c: &&'c Clock| match (&c.acquired, &clocks[0].acquired) {
            (Some(a), Some(b)) => Rc::ptr_eq(a, b),
            (a, b) => a.is_none() && b.is_none(),
        };
        if !clocks.iter().all(same) {
            let mut all = Knowledge::default();
            clocks.iter().filter_map(|c| c.acquired.as_ref()).for_each(|known| all.join(known));
            let least = |part: Part| {
                let below = |c: &&'c Clock| {
                    let listed = c.acquired.as_ref().map_or(0, |known| known.below(part));
                    listed.max(c.implied(part))
                };
                clocks.iter().map(below).min().unwrap_or(0)
            };
            all.0.iter_mut().for_each(|(&part, below)| *below = least(part));
            common.acquired = Some(Rc::new(all));
        }
        Together { clocks, common }
    }
}

impl Knows for Together<'_> {
    fn knows(&self, who: Who, warp: u16, time: Time) -> bool {
        self.common.knows(who, warp, time) || self.clocks.iter().all(|c| c.knows(who, warp, time))
    }

    fn knows_part(&self, part: Part, time: u32) -> bool {
        self.common.knows_part(part, time) || self.clocks.iter().all(|c| c.knows_part(part, time))
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
