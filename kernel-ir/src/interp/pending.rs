//! Registers whose values are in flight: results of `wgmma`s that were not waited for, and their left
//! factors.
//!
//! Such a value may be moved about and added to by another `wgmma`; whatever else reads it reads a
//! register that the tensor core still writes (PTX ISA, `wgmma.mma_async`: accessing the registers
//! before a wait is undefined). Nor may a left factor's registers be written until then: each value has
//! registers of its own, which are the same whenever its operation is executed. And what a `wgmma`
//! takes from registers must have been written before the `wgmma_fence` that orders the two.

use super::finding::FindingKind;
use super::program::{Plain, Reg};
use super::thread::Run;
use super::world::Report;
use crate::loc::Loc;
use crate::op::Opcode;

/// A value that another `wgmma` has added to: it never was in a register.
const PASSED_ON: u32 = u32::MAX;

/// A thread's registers, by the `wgmma` that writes them.
#[derive(Default)]
pub(super) struct Pending {
    /// The number of the `wgmma`, from 1 on; 0 where there was none. Empty before the first fence.
    by: Vec<u32>,
    /// After how many fences it was written; 0 for what was made of nothing.
    since: Vec<u32>,
    /// The number of the last `wgmma` that reads its left factor from it, or 0.
    read: Vec<u32>,
    fences: u32,
    /// The last one that was waited for.
    awaited: u32,
    /// The lines of those that were not.
    lines: Vec<(u32, Loc)>,
}

impl Pending {
    /// Whether there was any fence.
    pub(super) const fn any(&self) -> bool {
        !self.by.is_empty()
    }

    /// Orders accesses of registers before the `wgmma`s that follow.
    pub(super) fn fence(&mut self, registers: usize) {
        self.grow(registers);
        self.fences += 1;
    }

    fn grow(&mut self, registers: usize) {
        for all in [&mut self.by, &mut self.since, &mut self.read] {
            all.resize(registers, 0);
        }
    }

    /// Whether a value was written after the last fence.
    pub(super) fn is_unfenced(&self, reg: Reg) -> bool {
        let range = reg.index()..reg.index() + reg.len();
        self.any() && self.since[range].contains(&self.fences)
    }

    /// A `wgmma` begins: what it adds to is no value any more, and its result is in flight.
    pub(super) fn begin(
        &mut self,
        number: u32,
        factor: &[u32],
        [sum, result]: [Reg; 2],
        registers: usize,
        loc: Loc,
    ) {
        self.grow(registers);
        for &at in factor {
            self.read[at as usize] = number;
        }
        for at in sum.index()..sum.index() + sum.len() {
            if self.by[at] > self.awaited {
                self.by[at] = PASSED_ON;
            }
        }
        self.by[result.index()..result.index() + result.len()].fill(number);
        self.lines.push((number, loc));
    }

    /// All up to a number were waited for.
    pub(super) fn wait(&mut self, number: u32) {
        self.awaited = self.awaited.max(number);
        self.lines.retain(|&(number, _)| number > self.awaited);
    }

    /// A value is moved.
    pub(super) fn copy(&mut self, from: usize, to: usize, len: usize) {
        if self.any() {
            self.by.copy_within(from..from + len, to);
            self.since.copy_within(from..from + len, to);
        }
    }

    /// Registers to registers, all at once.
    pub(super) fn moves(&mut self, moves: &[(u32, u32)]) {
        if self.any() {
            for all in [&mut self.by, &mut self.since] {
                let from: Vec<u32> = moves.iter().map(|&(from, _)| all[from as usize]).collect();
                for (&(_, to), value) in moves.iter().zip(from) {
                    all[to as usize] = value;
                }
            }
        }
    }

    /// The `wgmma` in flight that reads its left factor from one of these registers.
    fn reader(&self, mut registers: impl Iterator<Item = u32>) -> Option<u32> {
        registers.find_map(|at| Some(self.read[at as usize]).filter(|&by| by > self.awaited))
    }

    /// What is wrong with reading a value, if anything is.
    fn fault(&self, reg: Reg) -> Option<u32> {
        let registers = self.by[reg.index()..reg.index() + reg.len()].iter();
        registers.copied().max().filter(|&by| by > self.awaited)
    }
}

impl Run<'_, '_> {
    /// Checks that an instruction reads nothing that is in flight.
    pub(super) fn check_pending(&mut self, plain: &Plain, loc: Loc) {
        let moved = |i: usize| match plain.op {
            Opcode::WgmmaWait | Opcode::VarStore | Opcode::VarStoreAt => true,
            Opcode::Wgmma => i == 2,
            _ => false,
        };
        for (i, &reg) in plain.operands.iter().enumerate() {
            let Some(by) = self.thread.pending.fault(reg) else { continue };
            let gone = by == PASSED_ON;
            if moved(i) && !(gone && matches!(plain.op, Opcode::Wgmma | Opcode::WgmmaWait)) {
                continue;
            }
            let op = plain.op.name();
            let what = match gone {
                true => format!("`{op}` uses a sum that was passed on to another `wgmma`"),
                false => format!("`{op}` uses the result of a `wgmma` that is still in flight"),
            };
            let begun = self.thread.pending.lines.iter().find(|(number, _)| *number == by);
            let who = self.thread.clock.who;
            let other = begun.map(|&(_, loc)| (who, loc, "began it".to_owned()));
            let kind = FindingKind::ResultInFlight;
            self.world.report(Report { kind, loc, who, what, other });
        }
        for result in &plain.results {
            let to = result.at..result.at + result.len() as u32;
            self.check_overwritten(to, Some(plain.op), loc);
            let range = result.index()..result.index() + result.len();
            self.thread.pending.by[range.clone()].fill(0);
            // Where a compiler puts constants is its own affair, and so are sums of `wgmma`.
            let made = matches!(plain.op, Opcode::Const | Opcode::VecMake | Opcode::Wgmma);
            let since = if made { 0 } else { self.thread.pending.fences };
            self.thread.pending.since[range].fill(since);
        }
    }

    /// Checks that moving values overwrites no left factor.
    pub(super) fn check_moves(&mut self, moves: &[(u32, u32)], loc: Loc) {
        self.check_overwritten(moves.iter().map(|&(_, to)| to), None, loc);
    }

    /// Without an operation, values are passed on to what follows, or to a loop's next turn.
    fn check_overwritten(&mut self, to: impl Iterator<Item = u32>, op: Option<Opcode>, loc: Loc) {
        let Some(by) = self.thread.pending.reader(to) else { return };
        let begun = self.thread.pending.lines.iter().find(|(number, _)| *number == by);
        let who = self.thread.clock.who;
        let other = begun.map(|&(_, loc)| (who, loc, "began it".to_owned()));
        let writer = op.map_or("passing values on".to_owned(), |op| format!("`{}`", op.name()));
        let what = format!(
            "{writer} overwrites registers from which a `wgmma` in flight reads its left factor: wait for \
             it first"
        );
        self.world.report(Report { kind: FindingKind::FactorInFlight, loc, who, what, other });
    }
}
