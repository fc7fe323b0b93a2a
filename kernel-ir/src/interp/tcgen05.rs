//! What warps do with tensor memory: they take, read and write it. What single threads begin in it stands
//! in `product.rs`.

use std::ops::Range;

use super::block::Block;
use super::finding::FindingKind;
use super::hall::Hall;
use super::program::Plain;
use super::shadow::{Settled, Sort};
use super::tensor::{Asked, LANES, Part};
use super::world::{Report, World};
use crate::loc::Loc;
use crate::op::Opcode;
use crate::tcgen05::place;

/// Whether the lanes of a warp come to an operation on tensor memory together.
pub(super) const fn is_of_warp(op: Opcode) -> bool {
    matches!(
        op,
        Opcode::Tcgen05Alloc
            | Opcode::Tcgen05Free
            | Opcode::Tcgen05Yield
            | Opcode::Tcgen05Load
            | Opcode::Tcgen05Store
            | Opcode::Tcgen05WaitLoad
            | Opcode::Tcgen05WaitStore
    )
}

impl Block {
    /// Executes an operation on tensor memory for the lanes of a warp, which are all there.
    pub(super) fn tensor(
        &mut self,
        world: &mut World<'_>,
        hall: &mut Hall,
        warp: Range<usize>,
        plain: &Plain,
        loc: Loc,
    ) {
        if !self.whole(world, &warp, plain, loc) {
            return;
        }
        let address = plain.operands.first().map(|&reg| self.threads[warp.start].get(reg) as u32);
        let differs =
            |reg| self.threads[warp.clone()].iter().any(|t| Some(t.get(reg) as u32) != address);
        let takes_address = !matches!(
            plain.op,
            Opcode::Tcgen05Alloc
                | Opcode::Tcgen05Yield
                | Opcode::Tcgen05WaitLoad
                | Opcode::Tcgen05WaitStore
        );
        if takes_address && differs(plain.operands[0]) {
            let what =
                format!("`{}` with addresses that differ between its lanes", plain.op.name());
            self.refuse_tensor(world, &warp, loc, FindingKind::BarrierMisuse, what);
            return world.stopped = true;
        }
        match (plain.op, address) {
            (Opcode::Tcgen05Load | Opcode::Tcgen05Store, Some(address)) => {
                self.move_columns(world, hall, warp, plain, address, loc);
            }
            (Opcode::Tcgen05WaitLoad | Opcode::Tcgen05WaitStore, _) => {
                self.wait_for_columns(hall, warp, plain);
            }
            _ => {
                let given = address.filter(|_| plain.op == Opcode::Tcgen05Free);
                self.allocate(world, hall, warp, (plain, given), loc);
            }
        }
    }

    fn refuse_tensor(
        &self,
        world: &mut World<'_>,
        warp: &Range<usize>,
        loc: Loc,
        kind: FindingKind,
        what: String,
    ) {
        let who = self.threads[warp.start].clock.who;
        world.report(Report { kind, loc, who, what, other: None });
    }

    /// Reads columns into the registers of each lane, or writes them.
    fn move_columns(
        &mut self,
        world: &mut World<'_>,
        hall: &mut Hall,
        warp: Range<usize>,
        plain: &Plain,
        address: u32,
        loc: Loc,
    ) {
        let loads = plain.op == Opcode::Tcgen05Load;
        let regs = if loads { plain.results[0] } else { plain.operands[1] };
        let (lane, column) = place(address);
        let part = Part { lane, lanes: LANES, column, columns: regs.len() as u32 };
        // PTX ISA, "Access restrictions": a warp has the lanes of its number in its warpgroup.
        let own = warp.start as u32 / LANES % 4 * LANES;
        let tensor = &mut hall.rooms[self.rank].tensor;
        if lane != own || !tensor.has(part) {
            let (op, end) = (plain.op.name(), column + part.columns);
            let what = format!(
                "`{op}` of lane {lane} and columns {column} to {end} of tensor memory: this warp has the \
                 lanes from {own} on, and columns are taken before"
            );
            self.refuse_tensor(world, &warp, loc, FindingKind::OutOfBounds, what);
            return world.stopped = true;
        }
        let copy = world.new_copy();
        let sort = if loads { Sort::CopyRead(copy) } else { Sort::CopyWrite(copy) };
        let asked = Asked { op: plain.op.name(), sort, reads: loads, landed: None, loc };
        let leader = &mut self.threads[warp.start];
        let mut doings = std::mem::take(&mut leader.tensor);
        let reports = tensor.touch(part, asked, &leader.clock, &mut doings);
        reports.into_iter().for_each(|report| world.report(report));
        let moved = if loads { &mut doings.loads } else { &mut doings.stores };
        moved.push((copy, part));
        leader.tensor = doings;
        for (thread, lane) in self.threads[warp].iter_mut().zip(lane..) {
            for i in 0..regs.len() {
                let reg = &mut thread.regs[regs.index() + i];
                let column = column + i as u32;
                match loads {
                    true => *reg = tensor.word(lane, column).into(),
                    false => tensor.put(lane, column, *reg as u32),
                }
            }
        }
    }

    fn wait_for_columns(&mut self, hall: &mut Hall, warp: Range<usize>, plain: &Plain) {
        let leader = &mut self.threads[warp.start];
        let moved = match plain.op {
            Opcode::Tcgen05WaitLoad => std::mem::take(&mut leader.tensor.loads),
            _ => std::mem::take(&mut leader.tensor.stores),
        };
        let tensor = &mut hall.rooms[self.rank].tensor;
        for (copy, part) in moved {
            tensor.settle(copy, part, Settled::By(&leader.clock));
        }
        for thread in &mut self.threads[warp] {
            for (from, to) in plain.operands.iter().zip(&plain.results) {
                thread.regs.copy_within(from.index()..from.index() + from.len(), to.index());
            }
        }
    }
}
