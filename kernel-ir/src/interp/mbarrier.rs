//! Barriers in shared memory: phases that end when enough arrivals and bytes have come.
//!
//! PTX ISA, "Parallel Synchronization and Communication Instructions: mbarrier". Who comes to a
//! barrier releases, who waits for a phase acquires; copies that a barrier counts are known to those
//! who have waited for the phase in which they landed ([`Part::Copies`]).

use std::rc::Rc;

use super::access::{Access, Home};
use super::clock::{Clock, Knowledge, Knows, Part, Time, Who};
use super::finding::FindingKind;
use super::hall::Room;
use super::program::{Plain, Reg};
use super::shadow::{Landed, Sort};
use super::thread::{Parked, Run, State};
use super::visit::When;
use super::world::{Report, World};
use crate::loc::Loc;
use crate::op::Opcode;

/// Bytes of a barrier.
pub(super) const BYTES: usize = 8;

/// The most arrivals and bytes of a phase (PTX ISA, "Contents of the mbarrier object").
const MOST: u32 = (1 << 20) - 1;

/// A barrier.
pub(super) struct Mbarrier {
    /// Arrivals of each phase.
    pub count: u32,
    /// Those that have not come in this phase.
    pub pending: u32,
    /// Bytes to come in this phase; less than none if they came before they were expected.
    pub bytes: i64,
    /// Phases that have ended.
    pub phase: u32,
    made: Made,
    /// Whether its maker let copies and other blocks see it.
    fenced: bool,
    part: Part,
    gathers: Knowledge,
    gathered: Rc<Knowledge>,
}

/// When it was initialised.
#[derive(Clone, Copy, Debug)]
struct Made {
    who: Who,
    warp: u16,
    time: Time,
    loc: Loc,
}

impl Mbarrier {
    /// A fence of a thread, after which those see its barriers that need one.
    pub(super) fn fence(&mut self, who: Who) {
        self.fenced |= self.made.who == who;
    }

    /// Whether the phase of this parity has ended.
    pub(super) fn has_passed(&self, parity: u32) -> bool {
        self.phase & 1 != parity & 1
    }

    /// What who waits for a phase learns.
    pub(super) fn passes(&self, clock: &mut Clock) {
        clock.acquire(&self.gathered);
    }

    /// What copies that land now are known by.
    pub(super) fn landing(&self) -> Landed {
        (self.part, self.phase)
    }

    /// Lets a phase end if nothing is missing.
    fn advance(&mut self) -> bool {
        let ends = self.pending == 0 && self.bytes == 0;
        if ends {
            self.phase += 1;
            self.pending = self.count;
            self.gathers.add(self.part, self.phase);
            self.gathered = Rc::new(self.gathers.clone());
        }
        ends
    }

    /// An arrival with what it lets know of. What is wrong with it, if anything is.
    pub(super) fn arrive(&mut self, known: Option<&Knowledge>) -> Result<bool, String> {
        if self.pending == 0 {
            let (count, bytes) = (self.count, self.bytes);
            return Err(format!(
                "all {count} arrivals of this phase have come, and it waits for {bytes} bytes only"
            ));
        }
        self.pending -= 1;
        if let Some(known) = known {
            self.gathers.join(known);
        }
        self.settled()
    }

    /// Bytes have landed.
    pub(super) fn land(&mut self, bytes: usize) -> Result<bool, String> {
        self.bytes -= bytes as i64;
        self.settled()
    }

    fn settled(&mut self) -> Result<bool, String> {
        // Who expects bytes comes as he does, so that none can be expected after the last arrival.
        if self.pending == 0 && self.bytes < 0 {
            let more = -self.bytes;
            return Err(format!(
                "all its arrivals have come, and copies have brought {more} bytes more than were \
                 expected"
            ));
        }
        Ok(self.advance())
    }
}

impl Room {
    /// What the user calls the barrier at a place.
    pub(super) fn barrier_name(&self, world: &World<'_>, at: usize) -> String {
        let decls = world.program.kernel().shared.iter().zip(&self.shared_layout().0);
        let before = decls.filter(|(_, start)| **start as usize <= at);
        match before.max_by_key(|(_, start)| **start) {
            Some((decl, _)) if decl.len == Some(1) => format!("`{}`", decl.name),
            Some((decl, &start)) => {
                format!("`{}[{}]`", decl.name, (at - start as usize) / decl.elem.size() as usize)
            }
            None => format!("the barrier at byte {at}"),
        }
    }

    /// What a phase that has not ended waits for, in words.
    pub(super) fn tell_phase(&self, world: &World<'_>, at: usize, parity: u32) -> String {
        let barrier = &self.barriers[&at];
        let (name, phase) = (self.barrier_name(world, at), barrier.phase);
        let mut missing = format!("{} of {} arrivals", barrier.pending, barrier.count);
        match barrier.bytes {
            0 => {}
            bytes @ 1.. => missing += &format!(" and {bytes} bytes"),
            bytes => missing += &format!("; {} bytes came that nobody expects yet", -bytes),
        }
        format!("for parity {parity} at {name}, which is in phase {phase} and misses {missing}")
    }

    /// The barrier among some bytes.
    pub(super) fn barrier_in(&self, at: usize, len: usize) -> Option<(usize, Who, Loc)> {
        let near = self.barriers.range(at.saturating_sub(BYTES - 1)..at + len).next()?;
        Some((*near.0, near.1.made.who, near.1.made.loc))
    }
}

impl Run<'_, '_> {
    /// What a thread does at a barrier.
    pub(super) fn at_barrier(&mut self, plain: &Plain, loc: Loc) {
        let pointer = plain.operands[0];
        if plain.op == Opcode::MbarrierInit {
            return self.make_barrier(plain, loc);
        }
        let Some((rank, at)) = self.barrier(pointer, plain.op.name(), loc) else { return };
        match plain.op {
            Opcode::MbarrierArrive => self.arrive(rank, at, 0, loc),
            Opcode::MbarrierExpect => {
                let bytes = self.thread.get(plain.operands[1]) as u32;
                self.arrive(rank, at, bytes, loc);
            }
            Opcode::CpAsyncArrive => self.arrive_with_copies(rank, at, loc),
            _ => self.await_phase(plain, rank, at),
        }
    }

    fn make_barrier(&mut self, plain: &Plain, loc: Loc) {
        let (pointer, count) = (plain.operands[0], self.thread.get(plain.operands[1]) as u32);
        let access = Access { pointer, bytes: BYTES, align: BYTES, sort: Sort::Write, loc };
        let Some(spot) = self.reach(access) else { return };
        if !(1..=MOST).contains(&count) {
            let what = format!("makes a barrier for {count} arrivals, which are not 1 to {MOST}");
            return self.misuse(loc, what);
        }
        // A second barrier in the place of one is reported as any other access to it.
        self.touch(&spot, Sort::Write, loc);
        let Clock { who, warp, now: time, .. } = self.thread.clock;
        let part = Part::Copies(who.block, spot.at as u32);
        let barrier = Mbarrier {
            count,
            pending: count,
            bytes: 0,
            phase: 0,
            made: Made { who, warp, time, loc },
            fenced: false,
            part,
            gathers: Knowledge::default(),
            gathered: Rc::default(),
        };
        self.home_mut(spot.home).mark(spot.range());
        self.hall.rooms[self.rank].barriers.insert(spot.at, barrier);
    }

    /// The barrier that a pointer names: the block's rank, and where. Reports if there is none, or
    /// if its initialisation is not known here.
    pub(super) fn barrier(&mut self, pointer: Reg, op: &str, loc: Loc) -> Option<(usize, usize)> {
        let sort = Sort::Atomic(crate::attr::Scope::Device);
        let spot = self.reach(Access { pointer, bytes: BYTES, align: BYTES, sort, loc })?;
        let Home::Shared(rank) = spot.home else { return None };
        self.usable(usize::from(rank), spot.at, op, loc).then_some((usize::from(rank), spot.at))
    }

    /// Whether there is a barrier that this thread may use.
    pub(super) fn usable(&mut self, rank: usize, at: usize, op: &str, loc: Loc) -> bool {
        let room = &self.hall.rooms[rank];
        let name = room.barrier_name(self.world, at);
        let Some(barrier) = room.barriers.get(&at) else {
            let what = format!("`{op}` on {name}, where no barrier was initialised");
            self.misuse(loc, what);
            return false;
        };
        let Made { who, warp, time, loc: made } = barrier.made;
        let other = Some((who, made, "initialised it".to_owned()));
        let report = |kind, what| Report { kind, loc, who: self.thread.clock.who, what, other };
        if !self.thread.clock.knows(who, warp, time) {
            let what = format!("`{op}` on {name}, and nothing orders its initialisation before");
            self.world.report(report(FindingKind::BarrierMisuse, what));
            return true;
        }
        let copies = matches!(op, "tma_load" | "bulk_load" | "tcgen05_commit");
        if !barrier.fenced && (copies || rank != self.rank) {
            let what = format!(
                "`{op}` on {name}, and no `mbarrier_fence` of the thread that initialised it came \
                 between"
            );
            self.world.report(report(FindingKind::MissingFence, what));
        }
        true
    }

    /// Comes to a barrier, and tells it of bytes first.
    fn arrive(&mut self, rank: usize, at: usize, bytes: u32, loc: Loc) {
        if bytes > MOST {
            let what = format!("expects {bytes} bytes, and a phase counts {MOST} at most");
            return self.misuse(loc, what);
        }
        let known = self.thread.clock.release();
        let Some(barrier) = self.hall.rooms[rank].barriers.get_mut(&at) else { return };
        barrier.bytes += i64::from(bytes);
        let result = barrier.arrive(Some(&known));
        self.arrived(rank, at, result, loc);
    }

    /// Reports what was wrong with an arrival.
    fn arrived(&mut self, rank: usize, at: usize, result: Result<bool, String>, loc: Loc) {
        match result {
            Ok(complete) => self.hall.changed |= complete,
            Err(what) => {
                let name = self.hall.rooms[rank].barrier_name(self.world, at);
                self.misuse(loc, format!("comes to {name}: {what}"));
            }
        }
    }

    fn await_phase(&mut self, plain: &Plain, rank: usize, at: usize) {
        let parity = self.thread.get(plain.operands[1]) as u32 & 1;
        let barrier = &self.hall.rooms[rank].barriers[&at];
        let passed = barrier.has_passed(parity);
        if passed {
            barrier.passes(&mut self.thread.clock);
        }
        match plain.results.first() {
            Some(result) => {
                self.thread.regs[result.index()] = passed.into();
                self.thread.spins = (!passed).then_some((at, parity));
            }
            None if !passed => self.thread.park(Parked::Mbarrier { at, parity }),
            None => {}
        }
    }

    /// Something at a barrier after which the thread cannot go on.
    pub(super) fn misuse(&mut self, loc: Loc, what: String) {
        self.report(FindingKind::BarrierMisuse, loc, what);
        self.thread.state = State::Failed;
    }

    /// A plain access to the bytes of a barrier.
    pub(super) fn spare_barriers(
        &mut self,
        rank: usize,
        at: usize,
        len: usize,
        sort: Sort,
        loc: Loc,
    ) {
        let room = &self.hall.rooms[rank];
        let Some((place, who, made)) = room.barrier_in(at, len) else { return };
        let name = room.barrier_name(self.world, place);
        self.world.report(Report {
            kind: FindingKind::BarrierMisuse,
            loc,
            who: self.thread.clock.who,
            what: format!("{} the bytes of the barrier {name}", sort.verb()),
            other: Some((who, made, "initialised it".to_owned())),
        });
    }

    /// Notes an access to another block's memory.
    pub(super) fn visit(&mut self, rank: usize, sort: Sort, loc: Loc) {
        let when = When::Done(self.thread.clock.now);
        let (who, warp) = (self.thread.clock.who, self.thread.clock.warp);
        let visit = super::visit::Visit { who, warp, when, loc, what: sort.verb() };
        let room = &mut self.hall.rooms[rank];
        if room.alive == 0 {
            let report =
                visit.report(FindingKind::EndedBlock, Who { block: room.number, thread: 0 });
            return if !self.hall.failed {
                self.world.report(report)
            };
        }
        super::visit::note(&mut room.visits, visit);
    }
}
