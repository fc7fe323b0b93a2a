//! What the four warps of a warpgroup do together: `wgmma`, its protocol, and shares of registers.
//!
//! PTX ISA, "Asynchronous Warpgroup Level Matrix Multiply-Accumulate Operation". The sums are
//! computed when the instruction begins; that they are not there before a wait, and left factors in registers
//! are read until then, is what [`pending`](super::pending) watches, and that others are what
//! [`shadow`](super::shadow) does.

use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;

use super::access::{Access, Home};
use super::area::PIECE;
use super::block::Block;
use super::clock::{Knowledge, Part, Together};
use super::finding::FindingKind;
use super::hall::Hall;
use super::matrix::{number, rounded};
use super::program::{Plain, Reg};
use super::shadow::{Deed, Sort};
use super::thread::Run;
use super::world::{Report, World};
use crate::attr::Attr;
use crate::loc::Loc;
use crate::mma::{MmaShape, Operand};
use crate::op::Opcode;
use crate::types::Scalar;
use crate::wgmma::{SmemLayout, THREADS, Wgmma};

/// Registers of a multiprocessor, which a block may have all of (CUDA C++ Programming Guide,
/// "Technical Specifications per Compute Capability").
const REGISTERS: u32 = 1 << 16;

/// The `wgmma`s of a warpgroup.
#[derive(Default)]
pub(super) struct Warpgroup {
    /// How many were begun.
    begun: u32,
    /// The last of each committed group that was not waited for.
    groups: VecDeque<u32>,
    /// Whether accesses of registers were ordered before what comes.
    fenced: bool,
    /// Registers of a thread, where it has asked for a share.
    registers: Option<u32>,
}

/// Whether the threads of a warpgroup come to an operation together.
pub(super) const fn is_of_warpgroup(op: Opcode) -> bool {
    matches!(
        op,
        Opcode::SetMaxRegisters
            | Opcode::WgmmaFence
            | Opcode::Wgmma
            | Opcode::WgmmaCommit
            | Opcode::WgmmaWait
    )
}

/// A factor in shared memory as read: its numbers row by row along m or n, and where they were.
pub(super) struct Factor {
    pub numbers: Vec<f64>,
    pub ranges: Vec<Range<usize>>,
}

/// A factor in shared memory: rows are those along m or n.
#[derive(Clone, Copy)]
pub(super) struct SharedFactor {
    pub pointer: Reg,
    pub elem: Scalar,
    pub k: u32,
    pub layout: SmemLayout,
    pub rows: u32,
}

/// An instruction that is executed, by whom.
struct Executed<'a> {
    plain: &'a Plain,
    threads: Range<usize>,
    loc: Loc,
}

impl Block {
    /// Executes an operation for the threads of a warpgroup, which are all there.
    pub(super) fn together_four(
        &mut self,
        world: &mut World<'_>,
        hall: &mut Hall,
        threads: Range<usize>,
        plain: &Plain,
        loc: Loc,
    ) {
        if threads.len() < THREADS as usize {
            let (op, count) = (plain.op.name(), threads.len());
            let what =
                format!("`{op}` needs {THREADS} threads of a warpgroup, and there are {count}");
            let who = self.threads[threads.start].clock.who;
            world.report(Report { kind: FindingKind::InactiveLane, loc, who, what, other: None });
            world.stopped = true;
            return;
        }
        let which = threads.start / THREADS as usize;
        let group = &mut hall.rooms[self.rank].warpgroups[which];
        match (plain.op, &plain.attr) {
            (Opcode::WgmmaFence, _) => {
                group.fenced = true;
                let registers = world.program.registers as usize;
                self.threads[threads].iter_mut().for_each(|t| t.pending.fence(registers));
            }
            (Opcode::WgmmaCommit, _) => group.groups.push_back(group.begun),
            (Opcode::WgmmaWait, &Attr::Count(left)) => {
                group.fenced = false;
                let done = group.groups.len().saturating_sub(left as usize);
                let done = group.groups.drain(..done).next_back();
                self.pass_on(threads, plain, which, done);
            }
            (Opcode::Wgmma, Attr::Wgmma(wgmma)) => {
                self.wgmma(world, hall, &Executed { plain, threads, loc }, wgmma);
            }
            (Opcode::SetMaxRegisters, &Attr::Registers { count, .. }) => {
                group.registers = Some(count.into());
                self.share_registers(world, hall, &Executed { plain, threads, loc });
            }
            (op, _) => unreachable!("`{}` is no operation of a warpgroup", op.name()),
        }
    }

    /// Which registers a thread uses is for the assembler to say; but shares that do not fit into the
    /// block's are waited for without end (PTX ISA, `setmaxnreg`).
    fn share_registers(&self, world: &mut World<'_>, hall: &Hall, executed: &Executed<'_>) {
        let groups = &hall.rooms[self.rank].warpgroups;
        let Some(shares) = groups.iter().map(|g| g.registers).collect::<Option<Vec<u32>>>() else {
            return;
        };
        let all = shares.iter().sum::<u32>() * THREADS;
        if all > REGISTERS {
            let (kind, loc) = (FindingKind::Deadlock, executed.loc);
            let who = self.threads[executed.threads.start].clock.who;
            let what = format!(
                "waits for registers that there are not: warpgroups with {shares:?} for each thread \
                 need {all}, and there are {REGISTERS}"
            );
            world.report(Report { kind, loc, who, what, other: None });
            world.stopped = true;
        }
    }

    /// All `wgmma`s up to `done` are over.
    fn pass_on(&mut self, threads: Range<usize>, plain: &Plain, which: usize, done: Option<u32>) {
        let part = |block| Part::Wgmma(block, which as u16);
        let block = self.threads[threads.start].clock.who.block;
        let known = done.map(|done| Rc::new(Knowledge::of(part(block), done + 1)));
        for thread in &mut self.threads[threads] {
            if let (Some(done), Some(known)) = (done, &known) {
                thread.pending.wait(done);
                thread.clock.acquire(known);
            }
            for (from, to) in plain.operands.iter().zip(&plain.results) {
                let (at, len) = (from.index(), from.len());
                thread.regs.copy_within(at..at + len, to.index());
                thread.pending.copy(at, to.index(), len);
            }
        }
    }

    fn wgmma(
        &mut self,
        world: &mut World<'_>,
        hall: &mut Hall,
        executed: &Executed<'_>,
        wgmma: &Wgmma,
    ) {
        let Executed { plain, threads, loc } = executed;
        let which = threads.start / THREADS as usize;
        let group = &mut hall.rooms[self.rank].warpgroups[which];
        group.begun += 1;
        let (number, fenced) = (group.begun, group.fenced);
        self.check_order(world, executed, wgmma, fenced);
        let shape = wgmma.shape;
        let a = match wgmma.a {
            Some(layout) => self.factor(
                world,
                hall,
                executed,
                (plain.operands[0], shape, layout, shape.m),
                number,
            ),
            None => Some(self.matrix(threads, shape, Operand::A, plain.operands[0])),
        };
        let b = (plain.operands[1], shape, wgmma.b, shape.n);
        let b = self.factor(world, hall, executed, b, number);
        let (Some(a), Some(b)) = (a, b) else {
            // Reported; without factors there is no result to go on with.
            return world.stopped = true;
        };
        let registers = world.program.registers as usize;
        let factor: &[u32] = match wgmma.a {
            Some(_) => &[],
            None => &world.program.factors[&plain.operands[0].at],
        };
        for (thread, member) in self.threads[threads.clone()].iter_mut().zip(0..) {
            let [sum, result] = [plain.operands[2], plain.results[0]];
            let adds = thread.get(plain.operands[3]) != 0;
            for index in 0..result.len() {
                let (row, column) = shape.element(Operand::C, member, index as u32);
                let k = shape.k as usize;
                let row = &a[row as usize * k..][..k];
                let column = &b[column as usize * k..][..k];
                let product: f64 = row.iter().zip(column).map(|(x, y)| x * y).sum();
                let old = thread.regs[sum.index() + index];
                let start = if adds { super::matrix::number(shape.cd, old) } else { 0.0 };
                thread.regs[result.index() + index] = rounded(shape.cd, start + product);
            }
            thread.pending.begin(number, factor, [sum, result], registers, *loc);
        }
    }

    /// Reports what is wrong with beginning a `wgmma` now.
    fn check_order(
        &self,
        world: &mut World<'_>,
        executed: &Executed<'_>,
        wgmma: &Wgmma,
        fenced: bool,
    ) {
        let Executed { plain, threads, .. } = executed;
        if !fenced {
            let what =
                "`wgmma` without a `wgmma_fence` since the last `wgmma_wait`, or before the \
                        first"
                    .to_owned();
            self.refuse(world, executed, what);
        }
        let first = &self.threads[threads.start];
        let adds = first.get(plain.operands[3]) != 0;
        let taken = [(0, wgmma.a.is_none()), (2, adds)].into_iter().filter(|(_, taken)| *taken);
        for (i, _) in taken {
            if fenced && first.pending.is_unfenced(plain.operands[i]) {
                let what =
                    format!("operand {i} of `wgmma` was written after the last `wgmma_fence`");
                self.refuse(world, executed, what);
            }
        }
        if let Some(i) = self.differs(executed, wgmma) {
            let what =
                format!("operand {i} of `wgmma` differs between the threads of the warpgroup");
            self.refuse(world, executed, what);
        }
    }

    fn refuse(&self, world: &mut World<'_>, executed: &Executed<'_>, what: String) {
        let who = self.threads[executed.threads.start].clock.who;
        let (kind, loc) = (FindingKind::WgmmaOrder, executed.loc);
        world.report(Report { kind, loc, who, what, other: None });
    }

    /// An operand in shared memory, or the condition, on which the threads do not agree.
    fn differs(&self, executed: &Executed<'_>, wgmma: &Wgmma) -> Option<usize> {
        let threads = &self.threads[executed.threads.clone()];
        let same = [wgmma.a.is_some(), true, false, true];
        let asked = executed.plain.operands.iter().enumerate().filter(|(i, _)| same[*i]);
        let differs = |reg: Reg| {
            let value = |i: usize| &threads[i].regs[reg.index()..reg.index() + reg.len()];
            (1..threads.len()).any(|i| value(i) != value(0))
        };
        asked.into_iter().find(|(_, reg)| differs(**reg)).map(|(i, _)| i)
    }

    /// Reads a factor from shared memory, in the asynchronous proxy.
    fn factor(
        &mut self,
        world: &mut World<'_>,
        hall: &mut Hall,
        executed: &Executed<'_>,
        (pointer, shape, layout, rows): (Reg, MmaShape, SmemLayout, u32),
        number: u32,
    ) -> Option<Vec<f64>> {
        let loc = executed.loc;
        let thread = &mut self.threads[executed.threads.start];
        let rank = self.rank;
        let factor = SharedFactor { pointer, elem: shape.ab, k: shape.k, layout, rows };
        let factor = Run { world, hall, rank, thread }.read_factor(factor, loc)?;
        let clocks = self.threads[executed.threads.clone()].iter().map(|t| &t.clock).collect();
        let knower = Together::new(clocks);
        let clock = &self.threads[executed.threads.start].clock;
        let which = (executed.threads.start / THREADS as usize) as u16;
        let landed = Some((Part::Wgmma(clock.who.block, which), number));
        let sort = Sort::Matrix;
        for range in factor.ranges {
            let deed = Deed { clock, sort, landed, loc };
            let room = &mut hall.rooms[rank];
            if let Some(conflict) = room.shadow.access(range.clone(), PIECE, deed, &knower) {
                world.race(&Home::Shared(rank as u8), range.len(), deed, conflict);
                continue;
            }
            if !room.shared.is_written(range.clone()) {
                let (kind, who) = (FindingKind::Uninitialized, clock.who);
                let what = format!("{} {} bytes that nobody wrote", sort.verb(), range.len());
                world.report(Report { kind, loc, who, what, other: None });
            }
            let report = hall.unfenced(rank, range, (clock.who, sort, loc), &knower);
            report.into_iter().for_each(|report| world.report(report));
        }
        Some(factor.numbers)
    }
}

impl Run<'_, '_> {
    /// The numbers of a factor, if all of them lie in its array.
    pub(super) fn read_factor(&mut self, factor: SharedFactor, loc: Loc) -> Option<Factor> {
        let SharedFactor { pointer, elem, k: depth, layout, rows } = factor;
        let sort = Sort::Matrix;
        let spot = self.reach(Access { pointer, bytes: PIECE, align: PIECE, sort, loc })?;
        let array = self.array_bytes(pointer);
        let size = elem.size();
        let mut numbers = Vec::with_capacity((rows * depth) as usize);
        let mut pieces = Vec::new();
        for (row, k) in (0..rows).flat_map(|row| (0..depth).map(move |k| (row, k))) {
            let at = layout.address(spot.at as u32, size, row, k) as usize;
            let range = at..at + size as usize;
            if range.start < array.start || range.end > array.end {
                let (at, len) = (at as i64 - array.start as i64, array.len());
                let what = format!(
                    "{} row {row}, depth {k} of a factor at byte {at} of {}, which has {len}",
                    sort.verb(),
                    self.name(pointer)
                );
                self.report(FindingKind::OutOfBounds, loc, what);
                return None;
            }
            let bits = super::access::word(self.home(spot.home).get(range));
            numbers.push(number(elem, bits));
            pieces.push(at / PIECE * PIECE);
        }
        Some(Factor { numbers, ranges: joined(pieces) })
    }
}

/// Pieces as ranges, those next to each other as one.
fn joined(mut pieces: Vec<usize>) -> Vec<Range<usize>> {
    pieces.sort_unstable();
    pieces.dedup();
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for at in pieces {
        match ranges.last_mut() {
            Some(last) if last.end == at => last.end += PIECE,
            _ => ranges.push(at..at + PIECE),
        }
    }
    ranges
}
