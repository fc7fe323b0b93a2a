//! Tensor memory of a block: who has taken which columns, who accesses them, and when products in it are
//! over.
//!
//! PTX ISA, "TensorCore 5th Generation Family Instructions". Reads and writes of threads are in flight
//! until their waits, products and copies until a barrier has been come to that a `tcgen05_commit` names;
//! what they touch is watched by a [`Shadow`], as shared memory is. Products of one thread with the same
//! sums follow each other without a wait, and products its copies ("Pipelined tcgen05 Instructions").
//! Between threads, fences have to stand on both sides of what orders them ("Specialized Inter-thread
//! Synchronization").

use std::cell::Cell;
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

use super::clock::{Clock, Knowledge, Knows, Time, Who};
use super::finding::FindingKind;
use super::memory::Bytes;
use super::shadow::{Conflict, Copying, Deed, Landed, Settled, Shadow, Sort};
use super::world::Report;
use crate::loc::Loc;
use crate::tcgen05::{CELL, COLUMNS, ROWS};
use crate::types::Scalar;

/// Lanes of a warp.
pub(super) const LANES: u32 = 32;

/// Bytes of a column in the lanes of a warp: what accesses are watched in.
const GRAIN: usize = (LANES * CELL) as usize;

/// Columns that were taken.
struct Taken {
    first: u32,
    count: u32,
    who: Who,
    loc: Loc,
}

/// The last access of a column by the lanes of a warp.
#[derive(Clone)]
struct Last {
    who: Who,
    warp: u16,
    time: Time,
    loc: Loc,
    /// How many accesses its thread had made.
    access: u32,
    /// Of a product, how others learn that it is over: its commit orders it.
    landed: Option<Landing>,
}

impl Last {
    /// Whether it was known to be over.
    fn is_known(&self, clock: &Clock) -> bool {
        match &self.landed {
            None => clock.knows(self.who, self.warp, self.time),
            Some(landing) => landing.get().is_some_and(|(part, time)| clock.knows_part(part, time)),
        }
    }
}

/// How others learn that a product is over, once it is.
pub(super) type Landing = Rc<Cell<Option<Landed>>>;

/// Lanes and columns that an instruction reaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Part {
    pub lane: u32,
    pub lanes: u32,
    pub column: u32,
    pub columns: u32,
}

impl Part {
    /// All lanes of some columns.
    pub(super) const fn columns(column: u32, columns: u32) -> Part {
        Part { lane: 0, lanes: ROWS, column, columns }
    }

    /// Its columns among those of another part.
    fn columns_of(self, other: Part) -> Part {
        let column = self.column.max(other.column);
        let end = (self.column + self.columns).min(other.column + other.columns);
        Part { column, columns: end.saturating_sub(column), ..self }
    }

    /// Each column's place in the memory, whose lanes lie next to each other.
    fn ranges(self) -> impl Iterator<Item = Range<usize>> {
        (self.column..self.column + self.columns).map(move |column| {
            let start = at(self.lane, column);
            start..start + (self.lanes * CELL) as usize
        })
    }
}

/// Where a lane's column is in the memory.
const fn at(lane: u32, column: u32) -> usize {
    ((column * ROWS + lane) * CELL) as usize
}

/// A block's tensor memory.
pub(super) struct Tensor {
    bytes: Bytes,
    shadow: Shadow,
    taken: Vec<Taken>,
    yielded: bool,
    last: HashMap<(u32, u32), Last>,
    /// By thread: how many accesses it had made at its last `tcgen05_fence_before`.
    fenced: HashMap<Who, u32>,
}

/// What a thread does there.
#[derive(Default)]
pub(super) struct Doings {
    accesses: u32,
    /// What it knew when it last fenced what comes.
    after: Option<Clock>,
    /// Reads and writes that it has not waited for.
    pub loads: Vec<(Copying, Part)>,
    pub stores: Vec<(Copying, Part)>,
    /// Products and copies that it has begun, until a wait makes an end of them.
    pub begun: Vec<Rc<Begun>>,
}

impl Doings {
    /// What comes is behind what the thread has waited for.
    pub(super) fn fence_after(&mut self, clock: &Clock) {
        self.after = Some(clock.clone());
    }
}

/// A product, or a copy to tensor memory, that was begun.
pub(super) struct Begun {
    pub copy: Copying,
    pub loc: Loc,
    /// The ranks of the blocks that it is in.
    pub ranks: Range<usize>,
    /// What it reads of shared memory, and in which block.
    pub shared: Vec<(usize, Range<usize>)>,
    /// What it reads of each block's tensor memory besides its sums.
    pub reads: Vec<Part>,
    /// What it writes in each: sums, or what it copies.
    pub writes: Part,
    /// What of a product follows without a wait has the same kind of sums.
    pub shape: Option<(u32, u32, Scalar, Scalar)>,
    /// What its thread knew when it began it: of engines, that was done before.
    pub before: Option<Rc<Knowledge>>,
    pub committed: Cell<bool>,
    /// How others learn that it is over.
    pub landed: Landing,
}

/// An access, for reports.
#[derive(Clone)]
pub(super) struct Asked {
    pub op: &'static str,
    pub sort: Sort,
    /// Whether what is there is asked for.
    pub reads: bool,
    /// Of a product, how others learn that it is over.
    pub landed: Option<Landing>,
    pub loc: Loc,
}

impl Tensor {
    pub(super) fn new(warp_size: u32) -> Tensor {
        let bytes = (ROWS * COLUMNS * CELL) as usize;
        Tensor {
            bytes: Bytes::unwritten(bytes),
            shadow: Shadow::new(bytes, warp_size),
            taken: Vec::new(),
            yielded: false,
            last: HashMap::new(),
            fenced: HashMap::new(),
        }
    }

    /// What is wrong with taking columns now, if anything is.
    pub(super) fn may_take(&self) -> Result<(), String> {
        if self.yielded {
            return Err("takes tensor memory after its block has said that it takes no more".into());
        }
        Ok(())
    }

    /// How many columns are taken.
    pub(super) fn taken(&self) -> u32 {
        self.taken.iter().map(|t| t.count).sum()
    }

    /// Whether none of these columns is taken.
    pub(super) fn is_free(&self, first: u32, count: u32) -> bool {
        let clear = |t: &Taken| first + count <= t.first || t.first + t.count <= first;
        self.taken.iter().all(clear)
    }

    /// Takes columns that are free.
    pub(super) fn take(&mut self, first: u32, count: u32, who: Who, loc: Loc) {
        self.taken.push(Taken { first, count, who, loc });
    }

    /// Gives columns back. What is wrong if they were not taken like that.
    pub(super) fn give(&mut self, lane: u32, first: u32, count: u32) -> Result<(), String> {
        let same = |t: &Taken| lane == 0 && t.first == first && t.count == count;
        match self.taken.iter().position(same) {
            Some(i) => {
                self.taken.swap_remove(i);
                Ok(())
            }
            None => Err(format!(
                "gives back {count} columns of tensor memory from column {first} on, which nobody took \
                 together"
            )),
        }
    }

    pub(super) fn yields(&mut self) {
        self.yielded = true;
    }

    /// What a block has not given back at its end.
    pub(super) fn kept(&self) -> Option<Report> {
        let Taken { count, who, loc, .. } = self.taken.first()?;
        let what =
            format!("takes {count} columns of tensor memory, which its block never gives back");
        Some(Report { kind: FindingKind::EndedBlock, loc: *loc, who: *who, what, other: None })
    }

    /// Whether columns are all part of what was taken at once.
    pub(super) fn has(&self, part: Part) -> bool {
        let end = part.column + part.columns;
        let inside = |t: &Taken| t.first <= part.column && end <= t.first + t.count;
        part.lane + part.lanes <= ROWS && self.taken.iter().any(inside)
    }

    /// Notes an access, and returns what is wrong with it.
    pub(super) fn touch(
        &mut self,
        part: Part,
        asked: Asked,
        clock: &Clock,
        doings: &mut Doings,
    ) -> Vec<Report> {
        let Asked { op, sort, reads, loc, .. } = asked.clone();
        doings.accesses += 1;
        let deed = Deed { clock, sort, landed: None, loc };
        let found = part.ranges().filter_map(|r| self.shadow.access(r, GRAIN, deed, clock));
        let found: Vec<Conflict> = found.collect();
        let report = |kind, what: String, other| Report { kind, loc, who: clock.who, what, other };
        if let Some(conflict) = found.first() {
            let what = format!("`{op}` {} columns of tensor memory", sort.verb());
            let other = Some((conflict.who, conflict.loc, conflict.past().to_owned()));
            return vec![report(FindingKind::CopyInFlight, what, other)];
        }
        if reads && !part.ranges().all(|range| self.bytes.is_written(range)) {
            let what = format!("`{op}` reads columns of tensor memory that nobody wrote");
            return vec![report(FindingKind::Uninitialized, what, None)];
        }
        self.fences(part, asked, clock, doings).into_iter().collect()
    }

    /// A fence that is missing between this access and the last one of another thread.
    fn fences(
        &mut self,
        part: Part,
        asked: Asked,
        clock: &Clock,
        doings: &Doings,
    ) -> Option<Report> {
        let Asked { op, landed, loc, .. } = asked;
        let who = clock.who;
        let (warp, time, access) = (clock.warp, clock.now, doings.accesses);
        let new = Last { who, warp, time, loc, access, landed };
        let mut found = None;
        for column in part.column..part.column + part.columns {
            for quarter in part.lane / LANES..(part.lane + part.lanes) / LANES {
                let last = self.last.insert((column, quarter), new.clone());
                found = found.or(last.filter(|last| last.who != who));
            }
        }
        let last = found?;
        let before = self.fenced.get(&last.who).is_some_and(|&fenced| fenced >= last.access);
        let what = if last.landed.is_none() && !before {
            format!(
                "`{op}` of columns of tensor memory without a `tcgen05_fence_before` of the thread that \
                 accessed them before"
            )
        } else if !doings.after.as_ref().is_some_and(|after| last.is_known(after)) {
            format!(
                "`{op}` of columns of tensor memory without a `tcgen05_fence_after` since it learned of who \
                 accessed them before"
            )
        } else {
            return None;
        };
        let other = Some((last.who, last.loc, "accessed them".to_owned()));
        Some(Report { kind: FindingKind::MissingFence, loc, who, what, other })
    }

    /// What a thread did is before what lets others know of it.
    pub(super) fn fence_before(&mut self, who: Who, doings: &Doings) {
        self.fenced.insert(who, doings.accesses);
    }

    /// A read or write of a thread is over, for which it has waited.
    pub(super) fn settle(&mut self, copy: Copying, part: Part, end: Settled<'_>) {
        for range in part.ranges() {
            self.shadow.settle(range, GRAIN, copy, end);
        }
    }

    /// A product that reaches a part of what something of the same thread has written before follows it:
    /// the two are in order.
    pub(super) fn follow(&mut self, before: &Begun, part: Part) {
        for range in before.writes.columns_of(part).ranges() {
            self.shadow.follow(range, GRAIN, before.copy, before.landed.get());
        }
    }

    pub(super) fn word(&self, lane: u32, column: u32) -> u32 {
        let at = at(lane, column);
        super::access::word(self.bytes.get(at..at + CELL as usize)) as u32
    }

    pub(super) fn put(&mut self, lane: u32, column: u32, word: u32) {
        self.bytes.put(at(lane, column), &word.to_le_bytes());
    }
}
