//! What threads do with tensor memory: warps take, read and write it, single threads begin products.

use std::ops::Range;
use std::rc::Rc;

use super::access::{Access, Home, Spot};
use super::area::PIECE;
use super::block::Block;
use super::finding::FindingKind;
use super::flight::{Cargo, Flight};
use super::hall::Hall;
use super::matrix::{number, rounded};
use super::program::Plain;
use super::shadow::{Copying, Settled, Sort};
use super::tensor::{Asked, LANES, Landing, Part, Product};
use super::thread::{Run, State};
use super::wgmma::SharedFactor;
use super::world::{Report, World};
use crate::attr::{Attr, Scope};
use crate::loc::Loc;
use crate::op::Opcode;
use crate::tcgen05::{ROWS, Tcgen05, a_place, place};
use crate::types::Scalar;

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
        let count = match plain.attr {
            Attr::Count(count) => count,
            _ => 0,
        };
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
        let who = self.threads[warp.start].clock.who;
        let result = match (plain.op, address) {
            (Opcode::Tcgen05Alloc, _) => {
                let taken = hall.rooms[self.rank].tensor.take(count, who, loc);
                taken.map(|first| self.write_address(world, hall, &warp, plain, first, loc))
            }
            (Opcode::Tcgen05Free, Some(address)) => {
                let (lane, first) = place(address);
                hall.rooms[self.rank].tensor.give(lane, first, count)
            }
            (Opcode::Tcgen05Load | Opcode::Tcgen05Store, Some(address)) => {
                return self.move_columns(world, hall, warp, plain, address, loc);
            }
            (Opcode::Tcgen05WaitLoad | Opcode::Tcgen05WaitStore, _) => {
                return self.wait_for_columns(hall, warp, plain);
            }
            _ => {
                hall.rooms[self.rank].tensor.yields();
                Ok(())
            }
        };
        if let Err(what) = result {
            let waits = what.starts_with("waits");
            let kind = if waits { FindingKind::Deadlock } else { FindingKind::BarrierMisuse };
            self.refuse_tensor(world, &warp, loc, kind, what);
            world.stopped = true;
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

    fn write_address(
        &mut self,
        world: &mut World<'_>,
        hall: &mut Hall,
        warp: &Range<usize>,
        plain: &Plain,
        first: u32,
        loc: Loc,
    ) {
        let (rank, thread) = (self.rank, &mut self.threads[warp.start]);
        let mut run = Run { world, hall, rank, thread };
        let (pointer, sort) = (plain.operands[0], Sort::Write);
        if let Some(spot) = run.reach(Access { pointer, bytes: 4, align: 4, sort, loc }) {
            run.touch(&spot, sort, loc);
            run.home_mut(spot.home).put(spot.at, &first.to_le_bytes());
        }
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

impl Run<'_, '_> {
    pub(super) fn tensor_fence(&mut self, op: Opcode) {
        let thread = &mut *self.thread;
        match op {
            Opcode::Tcgen05FenceBefore => {
                let tensor = &mut self.hall.rooms[self.rank].tensor;
                tensor.fence_before(thread.clock.who, &thread.tensor);
            }
            _ => thread.tensor.fence_after(&thread.clock),
        }
    }

    /// Begins a product. Its sums are computed now; that they are not there before a wait is what the
    /// shadow watches.
    pub(super) fn tensor_product(&mut self, plain: &Plain, loc: Loc) {
        let Attr::Tcgen05(product) = plain.attr else {
            unreachable!("the kernel is verified: a product has a shape")
        };
        let [d, a, adds] = [0, 1, 3].map(|i| self.thread.get(plain.operands[i]));
        let (copy, shape) = (self.world.new_copy(), (product.n, product.ab, product.cd));
        let landed = Landing::default();
        let d = match self.columns(plain, d as u32, product.n, loc) {
            Some(part) => part,
            None => return,
        };
        let k = product.k();
        let mut shared = Vec::new();
        let (a_part, a) = match product.a {
            Some(layout) => {
                let factor = SharedFactor {
                    pointer: plain.operands[1],
                    elem: product.ab,
                    k,
                    layout,
                    rows: ROWS,
                };
                let Some(numbers) = self.shared_factor(factor, copy, &mut shared, loc) else {
                    return;
                };
                (None, numbers)
            }
            None => {
                let columns = k * product.ab.size() / 4;
                let Some(part) = self.columns(plain, a as u32, columns, loc) else { return };
                self.touch_tensor(plain, part, (Sort::CopyRead(copy), true, &landed), loc);
                (Some(part), self.tensor_factor(&product, part))
            }
        };
        let factor = SharedFactor {
            pointer: plain.operands[2],
            elem: product.ab,
            k,
            layout: product.b,
            rows: product.n,
        };
        let Some(b) = self.shared_factor(factor, copy, &mut shared, loc) else { return };
        let same = |p: &&Rc<Product>| p.d == d && p.shape == shape;
        for before in self.thread.tensor.begun.iter().filter(same) {
            self.hall.rooms[self.rank].tensor.follow(before);
        }
        self.touch_tensor(plain, d, (Sort::CopyWrite(copy), adds != 0, &landed), loc);
        self.sums(&product, d, adds != 0, [&a, &b]);
        let product =
            Product { copy, loc, shared, a: a_part, d, shape, committed: false.into(), landed };
        self.thread.tensor.begun.push(Rc::new(product));
    }

    /// All lanes of columns that were taken, from an address on.
    fn columns(&mut self, plain: &Plain, address: u32, columns: u32, loc: Loc) -> Option<Part> {
        let (lane, column) = place(address);
        let part = Part::columns(column, columns);
        if lane == 0 && self.hall.rooms[self.rank].tensor.has(part) {
            return Some(part);
        }
        let (op, end) = (plain.op.name(), column + columns);
        let what = format!(
            "`{op}` of lane {lane} and columns {column} to {end} of tensor memory: it begins at lane 0, and \
             columns are taken before"
        );
        self.report(FindingKind::OutOfBounds, loc, what);
        self.thread.state = State::Failed;
        None
    }

    /// Notes what a product does in tensor memory, which others learn of by its landing.
    fn touch_tensor(
        &mut self,
        plain: &Plain,
        part: Part,
        (sort, reads, landing): (Sort, bool, &Landing),
        loc: Loc,
    ) {
        let landed = Some(landing.clone());
        let asked = Asked { op: plain.op.name(), sort, reads, landed, loc };
        let tensor = &mut self.hall.rooms[self.rank].tensor;
        let thread = &mut *self.thread;
        let reports = tensor.touch(part, asked, &thread.clock, &mut thread.tensor);
        reports.into_iter().for_each(|report| self.world.report(report));
    }

    /// Reads a factor in shared memory, which is in flight from now on.
    fn shared_factor(
        &mut self,
        factor: SharedFactor,
        copy: Copying,
        shared: &mut Vec<Range<usize>>,
        loc: Loc,
    ) -> Option<Vec<f64>> {
        let Some(read) = self.read_factor(factor, loc) else {
            self.thread.state = State::Failed;
            return None;
        };
        let (rank, sort) = (self.rank, Sort::CopyRead(copy));
        for range in &read.ranges {
            let spot = Spot {
                home: Home::Shared(rank as u8),
                at: range.start,
                len: range.len(),
                grain: PIECE,
            };
            self.touch(&spot, sort, loc);
            let (who, clock) = (self.thread.clock.who, &self.thread.clock);
            let report = self.hall.unfenced(rank, range.clone(), (who, sort, loc), clock);
            report.into_iter().for_each(|report| self.world.report(report));
        }
        shared.extend(read.ranges);
        Some(read.numbers)
    }

    /// The numbers of a factor in tensor memory, row by row.
    fn tensor_factor(&self, product: &Tcgen05, part: Part) -> Vec<f64> {
        let tensor = &self.hall.rooms[self.rank].tensor;
        let size = product.ab.size();
        let element = |row: u32, k: u32| {
            let (column, byte) = a_place(size, k);
            let word = tensor.word(row, part.column + column);
            let bits = u64::from(word) >> (8 * byte);
            let mask = if size == 4 { u64::from(u32::MAX) } else { (1 << (8 * size)) - 1 };
            number(product.ab, bits & mask)
        };
        (0..ROWS)
            .flat_map(|row| (0..product.k()).map(move |k| (row, k)))
            .map(|(row, k)| element(row, k))
            .collect()
    }

    /// Row `i` of D is lane `i`, column `j` column `j` (PTX ISA, "Data Path Layout Organization", layout D).
    fn sums(&mut self, product: &Tcgen05, d: Part, adds: bool, [a, b]: [&[f64]; 2]) {
        let tensor = &mut self.hall.rooms[self.rank].tensor;
        let (k, cd): (usize, Scalar) = (product.k() as usize, product.cd);
        for (row, column) in (0..ROWS).flat_map(|row| (0..product.n).map(move |n| (row, n))) {
            let left = &a[row as usize * k..][..k];
            let right = &b[column as usize * k..][..k];
            let sum: f64 = left.iter().zip(right).map(|(x, y)| x * y).sum();
            let old = tensor.word(row, d.column + column).into();
            let start = if adds { number(cd, old) } else { 0.0 };
            tensor.put(row, d.column + column, rounded(cd, start + sum) as u32);
        }
    }

    /// Lets a barrier be come to when all that this thread has begun is over.
    pub(super) fn tensor_commit(&mut self, plain: &Plain, loc: Loc) {
        let (pointer, sort) = (plain.operands[0], Sort::Atomic(Scope::Device));
        let bytes = super::mbarrier::BYTES;
        let Some(spot) = self.reach(Access { pointer, bytes, align: bytes, sort, loc }) else {
            return;
        };
        if !self.usable(self.rank, spot.at, plain.op.name(), loc) {
            return;
        }
        let begun = &mut self.thread.tensor.begun;
        begun.iter().for_each(|product| product.committed.set(true));
        let products = begun.clone();
        let (who, warp) = (self.thread.clock.who, self.thread.clock.warp);
        let cargo = Cargo::Products { products, rank: self.rank, barrier: spot.at };
        let copy = self.world.new_copy();
        self.hall.flights.push(Flight { copy, who, warp, loc, cargo });
    }

    /// The thread ends: nobody will learn that what it has not committed is over.
    pub(super) fn abandon_products(&mut self) {
        let doings = std::mem::take(&mut self.thread.tensor);
        if let Some(product) = doings.begun.iter().find(|product| !product.committed.get()) {
            let what =
                "begins a product in tensor memory, and ends without a `tcgen05_commit`".to_owned();
            self.report(FindingKind::EndedBlock, product.loc, what);
        }
    }
}
