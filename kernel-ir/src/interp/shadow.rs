//! Who accessed which memory, to find races.
//!
//! Memory is cut into cells as small as the accesses it sees: 4 bytes where only `f32` are read and
//! written. A cell remembers the last plain write, and since then the reads, atomic operations and
//! asynchronous copies in flight. An access races with those of them it does not know of
//! ([`Knows`]) and that it conflicts with. Nothing is forgotten that could still race: a write
//! clears the list, since each entry was either known to the writer or reported.
//!
//! What engines do by themselves is in flight, and known to nobody, until a thread has waited for it
//! ([`Settled::By`]), or has *landed*: then those know of it who know that much of some part.

use std::ops::Range;

use super::clock::{Clock, Knows, Part, Time, Who};
use crate::attr::Scope;
use crate::loc::Loc;

/// What an access does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sort {
    Read,
    Write,
    Atomic(Scope),
    /// An asynchronous copy reads here until it is waited for.
    CopyRead(Copying),
    /// An asynchronous copy writes here until it is waited for.
    CopyWrite(Copying),
    /// An asynchronous copy combines what is here with what it brings, until it is waited for.
    CopyAtomic(Copying),
    /// A `wgmma` reads here until it is waited for.
    Matrix,
}

/// An asynchronous copy, by a number of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Copying(pub u32);

impl Sort {
    /// In words, as in "thread 3 reads".
    pub(super) const fn verb(self) -> &'static str {
        match self {
            Sort::Read => "reads",
            Sort::Write => "writes",
            Sort::Atomic(_) => "atomically updates",
            Sort::CopyRead(_) => "copies asynchronously from",
            Sort::CopyWrite(_) => "copies asynchronously to",
            Sort::CopyAtomic(_) => "combines asynchronously with",
            Sort::Matrix => "multiplies by",
        }
    }

    /// Whether a copy in flight does it.
    pub(super) const fn is_copy(self) -> bool {
        self.copying().is_some()
    }

    /// The copy that does it, while it is in flight.
    const fn copying(self) -> Option<Copying> {
        match self {
            Sort::CopyRead(copy) | Sort::CopyWrite(copy) | Sort::CopyAtomic(copy) => Some(copy),
            _ => None,
        }
    }

    /// Whether the memory's contents are asked for.
    pub(super) const fn reads(self) -> bool {
        !matches!(self, Sort::Write | Sort::CopyWrite(_))
    }

    /// Whether they are not changed.
    pub(super) const fn reads_only(self) -> bool {
        matches!(self, Sort::Read | Sort::CopyRead(_) | Sort::Matrix)
    }

    /// The scope in which it is atomic.
    const fn scope(self) -> Option<Scope> {
        match self {
            Sort::Atomic(scope) => Some(scope),
            Sort::CopyAtomic(_) => Some(Scope::Device),
            _ => None,
        }
    }
}

/// By what others learn that an engine has done something: the part of which they must know more
/// than this count.
pub(super) type Landed = (Part, u32);

/// A new access.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deed<'c> {
    /// Whose: the thread's that does or began it.
    pub clock: &'c Clock,
    pub sort: Sort,
    /// For what an engine does that is not a copy in flight.
    pub landed: Option<Landed>,
    pub loc: Loc,
}

/// An access of lanes of one warp at one time, or of an engine for one of them.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Entry {
    block: u32,
    warp: u16,
    sort: Sort,
    lanes: u64,
    time: Time,
    landed: Option<Landed>,
    loc: Loc,
}

/// An earlier access that races with a new one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Conflict {
    pub who: Who,
    pub loc: Loc,
    pub sort: Sort,
    landed: Option<Landed>,
}

impl Conflict {
    /// Whether an engine did or does it.
    pub(super) const fn is_engine(&self) -> bool {
        self.sort.copying().is_some() || self.landed.is_some()
    }

    /// In words, as in "thread 3 read it".
    pub(super) const fn past(&self) -> &'static str {
        match (self.sort, self.landed) {
            (Sort::Matrix, _) => "multiplies by it, and the `wgmma` was not waited for",
            (Sort::Write, Some(_)) => "copies to it, and the barrier was not waited for",
            (_, Some(_)) => "copies from it, and the barrier was not waited for",
            (Sort::Read, _) => "read it",
            (Sort::Write, _) => "wrote it",
            (Sort::Atomic(_), _) => "atomically updated it",
            (Sort::CopyRead(_), _) => "copies from it, and the copy was not waited for",
            (Sort::CopyWrite(_), _) => "copies to it, and the copy was not waited for",
            (Sort::CopyAtomic(_), _) => "combines with it, and the copy was not waited for",
        }
    }
}

/// How an asynchronous copy has ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum Settled<'c> {
    /// A thread has waited for it: it is an access of that thread, done now.
    By(&'c Clock),
    /// It has arrived, and others learn so.
    Landed(Landed),
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

    /// Notes an access of whole elements of `grain` bytes, and returns the first conflict with
    /// what `knower` does not know of.
    pub(super) fn access(
        &mut self,
        range: Range<usize>,
        grain: usize,
        deed: Deed<'_>,
        knower: &impl Knows,
    ) -> Option<Conflict> {
        let mut found = None;
        self.cells(range, grain, |cell, warp_size| {
            let conflict = cell.access(deed, knower, warp_size);
            found = found.or(conflict);
        });
        found
    }

    /// An asynchronous copy has ended.
    pub(super) fn settle(
        &mut self,
        range: Range<usize>,
        grain: usize,
        copy: Copying,
        end: Settled<'_>,
    ) {
        self.cells(range, grain, |cell, _| cell.settle(copy, end));
    }

    /// What an engine writes is in order with what the same thread asks of it next: it is forgotten, as
    /// the next takes its place.
    pub(super) fn follow(
        &mut self,
        range: Range<usize>,
        grain: usize,
        copy: Copying,
        landed: Option<Landed>,
    ) {
        let own =
            |e: &Entry| e.sort.copying() == Some(copy) || (landed.is_some() && e.landed == landed);
        self.cells(range, grain, |cell, _| cell.entries.retain(|e| !own(e)));
    }

    /// The first thread's write that `fenced` says no to.
    pub(super) fn find_write(
        &mut self,
        range: Range<usize>,
        grain: usize,
        fenced: impl Fn(Who, u16, Time) -> bool,
    ) -> Option<Conflict> {
        let mut found = None;
        self.cells(range, grain, |cell, warp_size| {
            let written = |e: &&Entry| !e.sort.reads_only() && e.landed.is_none();
            let own = |e: &&Entry| written(e) && e.sort.copying().is_none();
            for entry in cell.entries.iter().filter(own) {
                found =
                    found.or(entry.first(warp_size, |who| !fenced(who, entry.warp, entry.time)));
            }
        });
        found
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
    fn access(&mut self, deed: Deed<'_>, knower: &impl Knows, warp_size: u32) -> Option<Conflict> {
        let Deed { clock, sort, .. } = deed;
        let ordered = self.entries.iter().filter(|e| e.conflicts(sort, clock.who.block));
        let found = { ordered }.find_map(|entry| entry.unknown(knower, warp_size));
        match sort {
            // What engines still do stays: it is not over by being overwritten.
            Sort::Write => self.entries.retain(|e| e.is_on(knower)),
            _ => self.forget(deed),
        }
        self.note(deed);
        found
    }

    /// Drops accesses like this one that this one comes after: whoever knows of this one knows of
    /// them.
    fn forget(&mut self, deed: Deed<'_>) {
        let Deed { clock, sort, landed, .. } = deed;
        if sort.copying().is_some() {
            return;
        }
        if let Some((part, _)) = landed {
            let other = |e: &Entry| e.sort != sort || e.landed.is_none_or(|(p, _)| p != part);
            return self.entries.retain(other);
        }
        let own = 1 << clock.lane;
        self.entries.retain_mut(|e| {
            if e.sort != sort || e.block != clock.who.block || e.landed.is_some() {
                return true;
            }
            if e.time.block < clock.known_block {
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

    fn note(&mut self, deed: Deed<'_>) {
        let Deed { clock, sort, landed, loc } = deed;
        let lanes = 1 << clock.lane;
        let (block, warp, time) = (clock.who.block, clock.warp, clock.now);
        let new = Entry { block, warp, sort, lanes, time, landed, loc };
        let same = |e: &&mut Entry| Entry { lanes, loc, ..**e } == new;
        match self.entries.iter_mut().find(same) {
            Some(entry) if sort != Sort::Write => entry.lanes |= lanes,
            _ => self.entries.push(new),
        }
    }

    fn settle(&mut self, copy: Copying, end: Settled<'_>) {
        let Some(at) = self.entries.iter().position(|e| e.sort.copying() == Some(copy)) else {
            return;
        };
        let entry = self.entries.swap_remove(at);
        let sort = match entry.sort {
            Sort::CopyRead(_) => Sort::Read,
            Sort::CopyWrite(_) => Sort::Write,
            _ => Sort::Atomic(Scope::Device),
        };
        if sort == Sort::Write {
            self.entries.retain(|e| e.sort.copying().is_some());
        }
        match end {
            Settled::By(clock) => self.note(Deed { clock, sort, landed: None, loc: entry.loc }),
            Settled::Landed(landed) => {
                // Whoever knows of this read knows of earlier ones at the same barrier.
                let part = |e: &Entry| e.landed.map(|(part, _)| part);
                self.entries.retain(|e| e.sort != Sort::Read || part(e) != Some(landed.0));
                self.entries.push(Entry { sort, landed: Some(landed), ..entry });
            }
        }
    }
}

impl Entry {
    /// Whether order matters between this access and a new one.
    fn conflicts(&self, sort: Sort, block: u32) -> bool {
        if self.sort.reads_only() && sort.reads_only() {
            return false;
        }
        match (self.sort.scope(), sort.scope()) {
            // Atomics are ordered by the memory if the scope of each includes the other.
            (Some(a), Some(b)) => self.block != block && (a == Scope::Block || b == Scope::Block),
            _ => true,
        }
    }

    /// Whether an engine does it, and is not known to be done.
    fn is_on(&self, knower: &impl Knows) -> bool {
        let landed = |(part, time)| knower.knows_part(part, time);
        self.sort.copying().is_some() || self.landed.is_some_and(|at| !landed(at))
    }

    /// The first of its threads of which something holds.
    fn first(&self, warp_size: u32, holds: impl Fn(Who) -> bool) -> Option<Conflict> {
        let mut lanes = self.lanes;
        while lanes != 0 {
            let lane = lanes.trailing_zeros();
            lanes &= lanes - 1;
            let thread = u32::from(self.warp) * warp_size + lane;
            let who = Who { block: self.block, thread: thread as u16 };
            if holds(who) {
                let Entry { loc, sort, landed, .. } = *self;
                return Some(Conflict { who, loc, sort, landed });
            }
        }
        None
    }

    /// This access, if it is not known.
    fn unknown(&self, knower: &impl Knows, warp_size: u32) -> Option<Conflict> {
        // An engine's access is not even known to the thread that began it.
        if self.sort.copying().is_some() || self.landed.is_some() {
            return if self.is_on(knower) { self.first(warp_size, |_| true) } else { None };
        }
        self.first(warp_size, |who| !knower.knows(who, self.warp, self.time))
    }
}
