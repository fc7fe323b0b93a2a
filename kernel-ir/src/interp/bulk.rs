//! Bulk copies: those of the copy engine, by boxes of a tensor (TMA) or by runs of bytes.
//!
//! PTX ISA, "Data Movement and Conversion Instructions: Bulk copy" and "Tensor copy". A copy to
//! shared memory is over for those who wait for the phase of the barrier that counts its bytes; one
//! to global memory for the thread that began it, when it has waited for its group.

use std::collections::VecDeque;
use std::rc::Rc;

use super::access::{Access, Home, Spot};
use super::area::{Area, PIECE};
use super::finding::FindingKind;
use super::flight::{Cargo, Flight, settle_area};
use super::program::{Plain, Reg};
use super::shadow::{Copying, Settled, Sort};
use super::thread::{Run, State};
use super::world::Map;
use crate::attr::{Attr, BoxMode, ReduceOp};
use crate::loc::Loc;
use crate::op::Opcode;
use crate::tensor_map::Walk;
use crate::types::{Scalar, Space, Type};

/// A copy to global memory that its thread has not waited for.
struct Store {
    copy: Copying,
    area: Rc<Area>,
    rank: usize,
    loc: Loc,
    /// Whether the thread knows that shared memory was read.
    read: bool,
}

/// A thread's copies to global memory.
#[derive(Default)]
pub(super) struct Stores {
    /// Those of no group yet.
    open: Vec<Store>,
    /// Committed groups, the oldest first.
    groups: VecDeque<Vec<Store>>,
}

/// What of a tensor a copy moves.
fn mode(plain: &Plain) -> BoxMode {
    match plain.attr {
        Attr::Bulk { mode, .. } => mode,
        _ => BoxMode::Tile,
    }
}

impl Run<'_, '_> {
    pub(super) fn bulk_copy(&mut self, plain: &Plain, loc: Loc) {
        match plain.op {
            Opcode::TmaLoad => self.tma_load(plain, loc),
            Opcode::BulkLoad => self.bulk_load(plain, loc),
            Opcode::TmaStore => self.tma_store(plain, loc),
            _ => self.bulk_store(plain, loc),
        }
    }

    /// The tensor map in a register, and the coordinates behind.
    fn tensor(&self, plain: &Plain, map: Reg, first: usize) -> (Map, Vec<i32>) {
        let map = self.world.maps[self.thread.get(map) as usize].clone();
        let map = map.expect("the kernel is verified: a tensor map");
        let rank = usize::from(map.tensor.tile.rank);
        let count = match mode(plain) {
            BoxMode::Tile => rank,
            BoxMode::Rows => 5,
            BoxMode::Pixels => 2 * rank - 2,
        };
        let axes = first..first + count;
        let coordinates = axes.map(|i| self.thread.get(plain.operands[i]) as i32).collect();
        (map, coordinates)
    }

    /// Whether a window's corner and offset are within their limits.
    fn window(&mut self, plain: &Plain, map: &Map, at: &[i32], loc: Loc) -> bool {
        let (BoxMode::Pixels, Some(walk)) = (mode(plain), map.tensor.tile.walk) else {
            return true;
        };
        let axes = usize::from(walk.axes);
        let within = |i: usize| {
            let last = map.tensor.extents[i + 1] as i64 - 1 + i64::from(walk.upper[i]);
            (i64::from(walk.lower[i])..=last).contains(&i64::from(at[i + 1]))
        };
        let most = Walk::most_offset(walk.axes) as i32;
        let what = if let Some(i) = (0..axes).find(|&i| !within(i)) {
            let axis = i + 1;
            format!("begins with the window at {} along axis {axis}, outside of its box", at[axis])
        } else if let Some(offset) = at[2 + axes..].iter().find(|n| !(0..=most).contains(*n)) {
            format!("has the offset {offset} in a window, and they are 0 to {most}")
        } else {
            return true;
        };
        self.report(FindingKind::OutOfBounds, loc, what);
        self.thread.state = State::Failed;
        false
    }

    /// The blocks that a load goes to, or a commit.
    pub(super) fn destinations(&mut self, plain: &Plain, loc: Loc) -> Option<Vec<usize>> {
        let (Attr::Bulk { multicast: true, .. } | Attr::Commit { multicast: true, .. }) =
            plain.attr
        else {
            return Some(vec![self.rank]);
        };
        let mask = self.thread.get(plain.operands[plain.operands.len() - 1]) as u32;
        let count = self.hall.rooms.len();
        let named: Vec<usize> = (0..32).filter(|rank| mask >> rank & 1 != 0).collect();
        if named.is_empty() || named.iter().any(|&rank| rank >= count) {
            let op = plain.op.name();
            let what = format!("`{op}` for the blocks {named:?} of a cluster of {count}");
            self.report(FindingKind::OutOfBounds, loc, what);
            self.thread.state = State::Failed;
            return None;
        }
        Some(named)
    }

    fn tma_load(&mut self, plain: &Plain, loc: Loc) {
        let [to, map, barrier] = [0, 1, 2].map(|i| plain.operands[i]);
        let (map, coordinates) = self.tensor(plain, map, 3);
        if !self.window(plain, &map, &coordinates, loc) {
            return;
        }
        let sort = Sort::CopyWrite(Copying(0));
        let Some(start) = self.box_in_shared(plain, &map, to, sort, loc) else { return };
        let area = Area::of_tensor(&map, start, mode(plain), &coordinates);
        if self.inside(&area, &map, loc) {
            self.begin_load(plain, area, barrier, loc);
        }
    }

    fn bulk_load(&mut self, plain: &Plain, loc: Loc) {
        let [to, from, bytes, barrier] = [0, 1, 2, 3].map(|i| plain.operands[i]);
        let sorts = [Sort::CopyWrite(Copying(0)), Sort::CopyRead(Copying(0))];
        let Some([to, from]) = self.run_of_bytes([to, from], bytes, sorts, loc) else { return };
        self.begin_load(plain, Area::of_run(&from, to.at), barrier, loc);
    }

    /// Where a box of a tensor begins in shared memory.
    fn box_in_shared(
        &mut self,
        plain: &Plain,
        map: &Map,
        pointer: Reg,
        sort: Sort,
        loc: Loc,
    ) -> Option<usize> {
        let tile = map.tensor.tile;
        let row = (tile.elements() * map.tensor.elem.size()) as usize;
        // Four rows may be either half of a swizzle's eight; every box begins at a multiple of 128.
        let (bytes, align) = match mode(plain) {
            BoxMode::Rows => (4 * row, (tile.swizzle.period() as usize / 2).max(128)),
            _ => (row, tile.swizzle.period() as usize),
        };
        Some(self.reach(Access { pointer, bytes, align, sort, loc })?.at)
    }

    /// Two runs of bytes.
    fn run_of_bytes(
        &mut self,
        pointers: [Reg; 2],
        bytes: Reg,
        sorts: [Sort; 2],
        loc: Loc,
    ) -> Option<[Spot; 2]> {
        let bytes = self.thread.get(bytes) as u32 as usize;
        if !bytes.is_multiple_of(PIECE) {
            let what = format!("copies {bytes} bytes, and bulk copies move multiples of {PIECE}");
            self.report(FindingKind::Misaligned, loc, what);
            self.thread.state = State::Failed;
            return None;
        }
        let align = PIECE;
        let access = |i: usize| Access { pointer: pointers[i], bytes, align, sort: sorts[i], loc };
        Some([self.reach(access(0))?, self.reach(access(1))?])
    }

    /// Whether what a tensor map says of its tensor lies in a buffer.
    fn inside(&mut self, area: &Area, map: &Map, loc: Loc) -> bool {
        let len = match area.global {
            Some(Home::Buffer(number, _)) => self.world.memory.bytes(number).len(),
            _ => 0,
        };
        let Some(outside) = area.global_ranges().find(|range| range.end > len) else { return true };
        let bytes = outside.len();
        let at = outside.start - map.start;
        let name = &self.world.program.kernel().params[map.param].name;
        let what = format!(
            "copies {bytes} bytes at byte {at} of the tensor `{name}`, which are not in its buffer"
        );
        self.report(FindingKind::OutOfBounds, loc, what);
        self.thread.state = State::Failed;
        false
    }

    fn begin_load(&mut self, plain: &Plain, area: Area, barrier: Reg, loc: Loc) {
        let Some(ranks) = self.destinations(plain, loc) else { return };
        let Some((counts, barrier)) = self.counting(plain, barrier, loc) else { return };
        let area = Rc::new(area);
        for rank in ranks {
            let counts = (counts.unwrap_or(rank), barrier);
            if !self.usable(counts.0, counts.1, plain.op.name(), loc) {
                return;
            }
            let copy = self.world.new_copy();
            self.touch_global(&area, Sort::CopyRead(copy), loc);
            self.touch_shared(&area, rank, Sort::CopyWrite(copy), loc);
            if let Some(ended) =
                [rank, counts.0].into_iter().find(|&rank| self.hall.rooms[rank].alive == 0)
            {
                self.visit(ended, Sort::CopyWrite(copy), loc);
                return;
            }
            let (who, warp) = (self.thread.clock.who, self.thread.clock.warp);
            let cargo = Cargo::Load { area: area.clone(), rank, counts };
            self.hall.flights.push(Flight { copy, who, warp, loc, cargo });
        }
    }

    /// Where the barrier is that counts a load, and in which block, if it is not that of the load.
    fn counting(
        &mut self,
        plain: &Plain,
        barrier: Reg,
        loc: Loc,
    ) -> Option<(Option<usize>, usize)> {
        let sort = Sort::Atomic(crate::attr::Scope::Device);
        let bytes = super::mbarrier::BYTES;
        let access = Access { pointer: barrier, bytes, align: bytes, sort, loc };
        if !matches!(barrier.ty, Type::Ptr(Space::Cluster, _)) {
            return Some((None, self.reach(access)?.at));
        }
        // As the peer, which is nobody from elsewhere: the block learns of it by the phase.
        let spot = self.in_block(self.rank ^ 1).reach(access)?;
        let Home::Shared(rank) = spot.home else { return None };
        let rank = usize::from(rank);
        if rank / 2 != self.rank / 2 {
            let op = plain.op.name();
            let what =
                format!("`{op}` into block {} of a cluster, counted by block {rank}", self.rank);
            self.report(FindingKind::OutOfBounds, loc, what + ", which is not of its pair");
            self.thread.state = State::Failed;
            return None;
        }
        Some((Some(rank), spot.at))
    }

    fn touch_global(&mut self, area: &Area, sort: Sort, loc: Loc) {
        let Some(home) = area.global else { return };
        for range in area.global_ranges() {
            let spot = Spot { home, at: range.start, len: range.len(), grain: area.grain };
            self.touch(&spot, sort, loc);
        }
    }

    fn touch_shared(&mut self, area: &Area, rank: usize, sort: Sort, loc: Loc) {
        let home = Home::Shared(rank as u8);
        for range in area.shared_ranges() {
            let spot = Spot { home, at: range.start, len: range.len(), grain: PIECE };
            self.touch(&spot, sort, loc);
            if sort.reads_only() {
                let (who, clock) = (self.thread.clock.who, &self.thread.clock);
                let report = self.hall.unfenced(rank, range, (who, sort, loc), clock);
                report.into_iter().for_each(|report| self.world.report(report));
            }
        }
    }

    fn tma_store(&mut self, plain: &Plain, loc: Loc) {
        let [map, from] = [0, 1].map(|i| plain.operands[i]);
        let (map, coordinates) = self.tensor(plain, map, 2);
        let sort = Sort::CopyRead(Copying(0));
        let Some(start) = self.box_in_shared(plain, &map, from, sort, loc) else { return };
        let area = Area::of_tensor(&map, start, mode(plain), &coordinates);
        if self.inside(&area, &map, loc) {
            self.begin_store(plain, area, map.tensor.elem, loc);
        }
    }

    fn bulk_store(&mut self, plain: &Plain, loc: Loc) {
        let [to, from, bytes] = [0, 1, 2].map(|i| plain.operands[i]);
        let sorts = [Sort::CopyWrite(Copying(0)), Sort::CopyRead(Copying(0))];
        let Some([to, from]) = self.run_of_bytes([to, from], bytes, sorts, loc) else { return };
        let elem = plain.operands[0].ty.elem();
        self.begin_store(plain, Area::of_run(&to, from.at), elem, loc);
    }

    fn begin_store(&mut self, plain: &Plain, area: Area, elem: Scalar, loc: Loc) {
        let reduce: Option<ReduceOp> = match plain.attr {
            Attr::Bulk { reduce, .. } => reduce,
            _ => None,
        };
        let (copy, rank, area) = (self.world.new_copy(), self.rank, Rc::new(area));
        self.touch_shared(&area, rank, Sort::CopyRead(copy), loc);
        let written = match reduce {
            Some(_) => Sort::CopyAtomic(copy),
            None => Sort::CopyWrite(copy),
        };
        self.touch_global(&area, written, loc);
        let (who, warp) = (self.thread.clock.who, self.thread.clock.warp);
        let combine = reduce.map(|op| (op, elem));
        let cargo = Cargo::Store { area: area.clone(), rank, combine, taken: None };
        self.hall.flights.push(Flight { copy, who, warp, loc, cargo });
        self.thread.stores.open.push(Store { copy, area, rank, loc, read: false });
    }

    pub(super) fn commit_stores(&mut self) {
        let group = std::mem::take(&mut self.thread.stores.open);
        self.thread.stores.groups.push_back(group);
    }

    /// Waits until groups are over, or at least have read shared memory.
    pub(super) fn wait_for_stores(&mut self, left: usize, whole: bool) {
        let mut groups = std::mem::take(&mut self.thread.stores.groups);
        let done = groups.len().saturating_sub(left);
        for store in groups.iter_mut().take(done).flatten() {
            self.hall.push_store(self.world, store.copy, whole);
            let sides = [!std::mem::replace(&mut store.read, true), whole];
            let end = Settled::By(&self.thread.clock);
            settle_area(self.world, self.hall, &store.area, store.rank, store.copy, sides, end);
        }
        if whole {
            groups.drain(..done);
        }
        self.thread.stores.groups = groups;
    }

    /// The thread ends: nobody can wait for its copies any more. Their block's memory may be gone
    /// before they have read it.
    pub(super) fn abandon_stores(&mut self) {
        let stores = std::mem::take(&mut self.thread.stores);
        let mut all = stores.groups.into_iter().flatten().chain(stores.open);
        if let Some(store) = all.find(|store| !store.read) {
            let what = "begins a copy from shared memory, and ends without having waited until it \
                        was read"
                .to_owned();
            self.report(FindingKind::EndedBlock, store.loc, what);
        }
    }
}
