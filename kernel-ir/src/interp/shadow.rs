//! Who accessed which memory, to find races.
//!
//! Memory is cut into cells as small as the accesses it sees: 4 bytes where only `f32` are read and
//! written. A cell remembers the last plain write, and since then the reads, atomic operations and
//! asynchronous copies in flight. An access races with those of them it does not know of
//! ([`Clock::knows`]) and that it conflicts with. Nothing is forgotten that could still race: a
//! write clears the list, since each entry was either known to the writer or reported.

use std::ops::Range;

use super::clock::{Clock, Time, Who};
use crate::attr::Scope;
use crate::loc::Loc;

/// What an access does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sort {
    Read,
    Write,
    Atomic(Scope),
    /// An asynchronous copy reads here until it is waited for.
    CopyRead,
    /// An asynchronous copy writes here until it is waited for.
    CopyWrite,
}

impl Sort {
    /// In words, as in "thread 3 reads".
    pub(super) const fn verb(self) -> &'static str {
        match self {
            Sort::Read => "reads",
            Sort::Write => "writes",
            Sort::Atomic(_) => "atomically updates",
            Sort::CopyRead => "copies asynchronously from",
            Sort::CopyWrite => "copies asynchronously to",
        }
    }

    /// In words, as in "thread 3 read".
    pub(super) const fn past(self) -> &'static str {
        match self {
            Sort::Read => "read it",
            Sort::Write => "wrote it",
            Sort::Atomic(_) => "atomically updated it",
            Sort::CopyRead => "copies from it, and has not waited for the copy",
            Sort::CopyWrite => "copies to it, and has not waited for the copy",
        }
    }

    pub(super) const fn is_copy(self) -> bool {
        matches!(self, Sort::CopyRead | Sort::CopyWrite)
    }

    const fn reads_only(self) -> bool {
        matches!(self, Sort::Read | Sort::CopyRead)
    }
}

/// An access of lanes of one warp at one time.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Entry {
    block: u32,
    warp: u16,
    sort: Sort,
    lanes: u64,
    time: Time,
    loc: Loc,
}

/// An earlier access that races with a new one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Conflict {
    pub who: Who,
    pub sort: Sort,
    pub loc: Loc,
}

#[derive(Clone, Default, Debug)]
struct Cell {
    /// The last write, then what came after it. Most cells see a few entries.
    entries: Vec<Entry>,
}

/// The accesses of some memory.
#[derive(Debug)]
pub(super) struct Shadow {
    pages: Vec<Option<Page>>,
    warp_size: u32,
}

/// Bytes that share a size of cells.
const PAGE: usize = 256;

#[derive(Debug)]
struct Page {
    /// Bytes of a cell, a power of two.
    grain: usize,
    cells: Vec<Cell>,
}

impl Page {
    fn new(grain: usize) -> Page {
        Page { grain, cells: vec![Cell::default(); PAGE / grain] }
    }

    /// Makes cells small enough for an access.
    fn refine(&mut self, grain: usize) {
        if grain < self.grain {
            let parts = self.grain / grain;
            let cells = self.cells.iter().flat_map(|c| std::iter::repeat_n(c.clone(), parts));
            self.cells = cells.collect();
            self.grain = grain;
        }
    }
}

impl Shadow {
    pub(super) fn new(bytes: usize, warp_size: u32) -> Shadow {
        Shadow { pages: (0..bytes.div_ceil(PAGE)).map(|_| None).collect(), warp_size }
    }

    /// Notes an access of whole elements of `grain` bytes, and returns the first conflict.
    pub(super) fn access(
        &mut self,
        range: Range<usize>,
        grain: usize,
        clock: &Clock,
        sort: Sort,
        loc: Loc,
    ) -> Option<Conflict> {
        let mut found = None;
        self.cells(range, grain, |cell, warp_size| {
            let conflict = cell.access(clock, sort, loc, warp_size);
            found = found.or(conflict);
        });
        found
    }

    /// An asynchronous copy of this thread has been waited for: from now on it is an access like
    /// any other, done now.
    pub(super) fn settle(&mut self, range: Range<usize>, grain: usize, clock: &Clock, sort: Sort) {
        self.cells(range, grain, |cell, _| cell.settle(clock, sort));
    }

    fn cells(&mut self, range: Range<usize>, grain: usize, mut visit: impl FnMut(&mut Cell, u32)) {
        let mut at = range.start;
        while at < range.end {
            let page = self.pages[at / PAGE].get_or_insert_with(|| Page::new(grain));
            page.refine(grain);
            visit(&mut page.cells[at % PAGE / page.grain], self.warp_size);
            at += page.grain;
        }
    }
}

impl Cell {
    fn access(&mut self, clock: &Clock, sort: Sort, loc: Loc, warp_size: u32) -> Option<Conflict> {
        let mut found = None;
        for entry in &self.entries {
            if entry.conflicts(sort, clock.who.block)
                && let Some(who) = entry.unknown(clock, warp_size)
            {
                found = Some(Conflict { who, sort: entry.sort, loc: entry.loc });
                break;
            }
        }
        match sort {
            // Copies in flight stay: they are not over by being overwritten.
            Sort::Write => self.entries.retain(|e| e.sort.is_copy()),
            _ => self.forget(clock, sort),
        }
        self.note(clock, sort, loc);
        found
    }

    /// Drops accesses like this one that this one comes after: whoever knows of this one knows of
    /// them.
    fn forget(&mut self, clock: &Clock, sort: Sort) {
        if sort.is_copy() {
            return;
        }
        let own = 1 << clock.lane;
        self.entries.retain_mut(|e| {
            if e.sort != sort || e.block != clock.who.block {
                return true;
            }
            if e.time.block < clock.now.block {
                return false;
            }
            if e.warp == clock.warp {
                if e.time.warp < clock.now.warp {
                    return false;
                }
                if e.time.releases < clock.now.releases {
                    e.lanes &= !own;
                }
            }
            e.lanes != 0
        });
    }

    fn note(&mut self, clock: &Clock, sort: Sort, loc: Loc) {
        let own = 1 << clock.lane;
        let (block, warp, time) = (clock.who.block, clock.warp, clock.now);
        let same = |e: &&mut Entry| (e.block, e.warp, e.sort, e.time) == (block, warp, sort, time);
        match self.entries.iter_mut().find(same) {
            Some(entry) if sort != Sort::Write => entry.lanes |= own,
            _ => self.entries.push(Entry { block, warp, sort, lanes: own, time, loc }),
        }
    }

    fn settle(&mut self, clock: &Clock, sort: Sort) {
        let own = 1 << clock.lane;
        let mut loc = None;
        self.entries.retain_mut(|e| {
            if e.sort == sort
                && (e.block, e.warp) == (clock.who.block, clock.warp)
                && e.lanes & own != 0
            {
                e.lanes &= !own;
                loc = Some(e.loc);
            }
            e.lanes != 0
        });
        let Some(loc) = loc else { return };
        match sort {
            Sort::CopyWrite => {
                self.entries.retain(|e| e.sort.is_copy());
                self.note(clock, Sort::Write, loc);
            }
            _ => self.note(clock, Sort::Read, loc),
        }
    }
}

impl Entry {
    /// Whether order matters between this access and a new one.
    fn conflicts(&self, sort: Sort, block: u32) -> bool {
        match (self.sort, sort) {
            (a, b) if a.reads_only() && b.reads_only() => false,
            // Atomics are ordered by the memory if the scope of each includes the other.
            (Sort::Atomic(a), Sort::Atomic(b)) => {
                self.block != block && (a == Scope::Block || b == Scope::Block)
            }
            _ => true,
        }
    }

    /// A thread of this access that the clock does not know of.
    fn unknown(&self, clock: &Clock, warp_size: u32) -> Option<Who> {
        let mut lanes = self.lanes;
        while lanes != 0 {
            let lane = lanes.trailing_zeros();
            lanes &= lanes - 1;
            let thread = u32::from(self.warp) * warp_size + lane;
            let who = Who { block: self.block, thread: thread as u16 };
            // A copy in flight is known to nobody, its own thread included.
            if self.sort.is_copy() || !clock.knows(who, self.warp, self.time) {
                return Some(who);
            }
        }
        None
    }
}
