//! What single threads begin in tensor memory: products, copies to it, and arrivals when they are over.

use std::ops::Range;
use std::rc::Rc;

use super::access::{Access, Home, Spot};
use super::area::PIECE;
use super::finding::FindingKind;
use super::flight::{Cargo, Flight};
use super::matrix::{number, rounded};
use super::program::Plain;
use super::shadow::{Copying, Sort};
use super::tensor::{Asked, Begun, Landing, Part};
use super::thread::{Run, State};
use super::wgmma::{Factor, SharedFactor};
use crate::attr::{Attr, Scope};
use crate::loc::Loc;
use crate::op::Opcode;
use crate::tcgen05::group::{Group, TensorPlace};
use crate::tcgen05::scales::{LANES, Scales, e2m1};
use crate::tcgen05::{ROWS, Tcgen05, a_place, are_pairs, place};
use crate::types::Scalar;
use crate::wgmma::SmemLayout;

/// Bytes of a factor's row.
const DEPTH: u32 = 32;

/// The scales of a factor.
struct Scaled {
    scales: Scales,
    /// Elements of a row.
    k: u32,
    /// Where the scales lie.
    part: Part,
    /// The byte of a cell where those of a row begin.
    byte: u32,
}

impl<'m> Run<'_, 'm> {
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
        // Where something is missing, that was reported.
        let _ = self.begin_product(&product, plain, loc);
    }

    fn begin_product(&mut self, product: &Tcgen05, plain: &Plain, loc: Loc) -> Option<()> {
        let adds = self.thread.get(plain.operands[3]) != 0;
        let ranks = self.blocks_of(product.group, plain, loc)?;
        let d = self.columns(plain, 0, product.columns(), (&ranks, loc))?;
        let shape = Some((product.m, product.n, product.ab, product.cd));
        let mut begun = self.beginning(ranks, d, shape, loc);
        let mut a = match product.a {
            Some(layout) => {
                let factor = self.factor(plain, 1, product.ab, (product.rows(), layout));
                self.shared_factor(factor, &mut begun)?
            }
            None => {
                let columns = DEPTH / crate::tcgen05::CELL;
                let part = self.columns(plain, 1, columns, (&begun.ranks, loc))?;
                self.read_tensor(plain, part, &mut begun);
                self.tensor_factor(plain, product, part, &begun)
            }
        };
        let factor = self.factor(plain, 2, product.ab, (product.b_rows(), product.b));
        let mut b = self.shared_factor(factor, &mut begun)?;
        if are_pairs(product.ab, product.cd) {
            (a, b) = (unpaired(&a), unpaired(&b));
        }
        let scaled = self.scales_of(product, plain, &mut begun)?;
        self.follow_copies(d, &begun.ranks);
        self.follow_sums(&begun);
        self.touch_tensor(plain, d, (Sort::CopyWrite(begun.copy), adds), &begun);
        let own = (product.rows() * product.k()) as usize;
        for (rank, a) in begun.ranks.clone().zip(a.chunks_mut(own)) {
            let mut b = b.clone();
            let mut there = self.in_block(rank);
            if let [of_a, of_b] = scaled.as_slice() {
                there.scale(plain, of_a, a, |row| product.a_scale_place(row), loc);
                there.scale(plain, of_b, &mut b, |column| product.b_scale_place(column), loc);
            }
            there.sums(product, d, adds, [a, &b]);
        }
        self.thread.tensor.begun.push(Rc::new(begun));
        Some(())
    }

    /// Begins a copy from shared memory.
    pub(super) fn tensor_copy(&mut self, plain: &Plain, loc: Loc) {
        // Where something is missing, that was reported.
        let _ = self.begin_copy_to_tensor(plain, loc);
    }

    fn begin_copy_to_tensor(&mut self, plain: &Plain, loc: Loc) -> Option<()> {
        let Attr::Tcgen05Copy(moved) = plain.attr else {
            unreachable!("the kernel is verified: a copy has a shape")
        };
        let shape = moved.shape;
        let ranks = self.blocks_of(moved.group, plain, loc)?;
        let part = self.columns(plain, 0, shape.bytes() / 4, (&ranks, loc))?;
        let mut begun = self.beginning(ranks, part, None, loc);
        let (pointer, elem, layout) = (plain.operands[1], Scalar::U8, moved.layout);
        let rows = SharedFactor { pointer, elem, k: shape.bytes(), layout, rows: shape.rows() };
        let bytes = self.shared_factor(rows, &mut begun)?;
        self.touch_tensor(plain, part, (Sort::CopyWrite(begun.copy), false), &begun);
        let own = (shape.rows() * shape.bytes()) as usize;
        for (rank, bytes) in begun.ranks.clone().zip(bytes.chunks(own)) {
            let tensor = &mut self.hall.rooms[rank].tensor;
            for lane in 0..ROWS {
                let row = &bytes[(shape.row(lane) * shape.bytes()) as usize..];
                for (column, cell) in (part.column..part.column + part.columns).zip(row.chunks(4)) {
                    let cell = std::array::from_fn(|i| cell[i] as u8);
                    tensor.put(lane, column, u32::from_le_bytes(cell));
                }
            }
        }
        self.thread.tensor.begun.push(Rc::new(begun));
        Some(())
    }

    /// The blocks that something is begun in, which must all be there (PTX ISA, "Issue Granularity").
    fn blocks_of(&mut self, group: Group, plain: &Plain, loc: Loc) -> Option<Range<usize>> {
        let ranks = group.ranks(self.rank);
        if let Some(room) = self.hall.rooms[ranks.clone()].iter().find(|room| room.alive == 0) {
            let what =
                format!("`{}` of a pair whose block {} has ended", plain.op.name(), room.number);
            self.report(FindingKind::EndedBlock, loc, what);
            self.thread.state = State::Failed;
            return None;
        }
        Some(ranks)
    }

    fn beginning(
        &mut self,
        ranks: Range<usize>,
        writes: Part,
        shape: Option<(u32, u32, Scalar, Scalar)>,
        loc: Loc,
    ) -> Begun {
        let (copy, landed, committed) = (self.world.new_copy(), Landing::default(), false.into());
        let (shared, reads) = (Vec::new(), Vec::new());
        let before = self.thread.clock.acquired.clone();
        Begun { before, copy, loc, ranks, shared, reads, writes, shape, committed, landed }
    }

    /// The same thread as if it were of another block: what it does in that one's memories.
    pub(super) fn in_block(&mut self, rank: usize) -> Run<'_, 'm> {
        Run { world: self.world, hall: self.hall, rank, thread: self.thread }
    }

    /// The scales of A and of B, which are in flight from now on; none, if the product has none.
    fn scales_of(
        &mut self,
        product: &Tcgen05,
        plain: &Plain,
        begun: &mut Begun,
    ) -> Option<Vec<Scaled>> {
        let mut all = Vec::new();
        let Some(scales) = product.scales else { return Some(all) };
        let bytes = [scales.a_byte, scales.b_byte];
        for (i, (columns, byte)) in product.scale_columns().into_iter().zip(bytes).enumerate() {
            let part = self.columns(plain, 4 + i, columns, (&begun.ranks, begun.loc))?;
            self.read_tensor(plain, part, begun);
            all.push(Scaled { scales, k: product.k(), part, byte });
        }
        Some(all)
    }

    /// What this thread has copied there before, without a wait, is there for a product.
    fn follow_copies(&mut self, part: Part, ranks: &Range<usize>) {
        for before in self.thread.tensor.begun.iter().filter(|begun| begun.shape.is_none()) {
            for rank in ranks.clone() {
                self.hall.rooms[rank].tensor.follow(before, part);
            }
        }
    }

    /// Products with the same sums follow each other.
    fn follow_sums(&mut self, begun: &Begun) {
        let same = |p: &&Rc<Begun>| p.writes == begun.writes && p.shape == begun.shape;
        for before in self.thread.tensor.begun.iter().filter(same) {
            for rank in begun.ranks.clone() {
                self.hall.rooms[rank].tensor.follow(before, begun.writes);
            }
        }
    }

    /// All lanes of columns that were taken in these blocks, from the address of an operand on.
    fn columns(
        &mut self,
        plain: &Plain,
        operand: usize,
        columns: u32,
        (ranks, loc): (&Range<usize>, Loc),
    ) -> Option<Part> {
        let (lane, column) = place(self.thread.get(plain.operands[operand]) as u32);
        let part = Part::columns(column, columns);
        let rooms = &self.hall.rooms[ranks.clone()];
        if lane == 0 && rooms.iter().all(|room| room.tensor.has(part)) {
            return Some(part);
        }
        let (op, end) = (plain.op.name(), column.saturating_add(columns));
        let what = format!(
            "`{op}` of lane {lane} and columns {column} to {end} of tensor memory: it begins at lane 0, and \
             columns are taken before"
        );
        self.report(FindingKind::OutOfBounds, loc, what);
        self.thread.state = State::Failed;
        None
    }

    /// A product reads tensor memory of each block besides its sums.
    fn read_tensor(&mut self, plain: &Plain, part: Part, begun: &mut Begun) {
        self.follow_copies(part, &begun.ranks);
        self.touch_tensor(plain, part, (Sort::CopyRead(begun.copy), true), begun);
        begun.reads.push(part);
    }

    /// Notes what an engine does in tensor memory of each block, which others learn of by its landing.
    fn touch_tensor(
        &mut self,
        plain: &Plain,
        part: Part,
        (sort, reads): (Sort, bool),
        begun: &Begun,
    ) {
        for rank in begun.ranks.clone() {
            let (landed, loc) = (Some(begun.landed.clone()), begun.loc);
            let asked = Asked { op: plain.op.name(), sort, reads, landed, loc };
            let tensor = &mut self.hall.rooms[rank].tensor;
            let thread = &mut *self.thread;
            let reports = tensor.touch(part, asked, &thread.clock, &mut thread.tensor);
            reports.into_iter().for_each(|report| self.world.report(report));
        }
    }

    /// The factor in shared memory that an operand is.
    fn factor(
        &self,
        plain: &Plain,
        operand: usize,
        elem: Scalar,
        (rows, layout): (u32, SmemLayout),
    ) -> SharedFactor {
        let k = DEPTH / elem.size();
        SharedFactor { pointer: plain.operands[operand], elem, k, layout, rows }
    }

    /// Reads what each block has of a factor in shared memory, which is in flight from now on.
    fn shared_factor(&mut self, factor: SharedFactor, begun: &mut Begun) -> Option<Vec<f64>> {
        let mut numbers = Vec::new();
        for rank in begun.ranks.clone() {
            let read = self.in_block(rank).own_factor(factor, begun.copy, begun.loc)?;
            begun.shared.extend(read.ranges.into_iter().map(|range| (rank, range)));
            numbers.extend(read.numbers);
        }
        Some(numbers)
    }

    fn own_factor(&mut self, factor: SharedFactor, copy: Copying, loc: Loc) -> Option<Factor> {
        let Some(read) = self.read_factor(factor, loc) else {
            self.thread.state = State::Failed;
            return None;
        };
        let (rank, sort) = (self.rank, Sort::CopyRead(copy));
        for range in &read.ranges {
            let home = Home::Shared(rank as u8);
            let spot = Spot { home, at: range.start, len: range.len(), grain: PIECE };
            self.touch(&spot, sort, loc);
            let (who, clock) = (self.thread.clock.who, &self.thread.clock);
            let report = self.hall.unfenced(rank, range.clone(), (who, sort, loc), clock);
            report.into_iter().for_each(|report| self.world.report(report));
        }
        Some(read)
    }

    /// The numbers of a factor in tensor memory, row by row. Where its rows fill half of the lanes, the other
    /// half has the same (CUTLASS, `TmemAllocMode::Duplicated`).
    fn tensor_factor(
        &mut self,
        plain: &Plain,
        product: &Tcgen05,
        part: Part,
        begun: &Begun,
    ) -> Vec<f64> {
        let (size, rows) = (product.ab.size(), product.rows());
        let (mut numbers, mut differs) = (Vec::new(), None);
        for rank in begun.ranks.clone() {
            let tensor = &self.hall.rooms[rank].tensor;
            for (row, k) in (0..rows).flat_map(|row| (0..DEPTH / size).map(move |k| (row, k))) {
                let (column, byte) = a_place(size, k);
                let mask = if size == 4 { u64::from(u32::MAX) } else { (1 << (8 * size)) - 1 };
                let bits = |half: u32| {
                    let word = tensor.word(row + half * rows, part.column + column);
                    (u64::from(word) >> (8 * byte)) & mask
                };
                let same = (1..product.halves()).all(|half| bits(half) == bits(0));
                differs = differs.or((!same).then_some(row));
                numbers.push(number(product.ab, bits(0)));
            }
        }
        if let Some(row) = differs {
            let what = format!(
                "`{}` with elements of row {row} that differ between lanes {row} and {}",
                plain.op.name(),
                row + rows
            );
            self.report(FindingKind::UnequalCopies, begun.loc, what);
        }
        numbers
    }

    /// Multiplies the rows of a factor by their scales, which have to be the same wherever they lie.
    fn scale(
        &mut self,
        plain: &Plain,
        scaled: &Scaled,
        numbers: &mut [f64],
        place: impl Fn(u32) -> (u32, u32, u32),
        loc: Loc,
    ) {
        let Scaled { scales, part, byte, k } = scaled;
        let run = k / scales.count;
        let mut differs = None;
        for (row, numbers) in (0..).zip(numbers.chunks_mut(*k as usize)) {
            let (lane, column, copies) = place(row);
            let tensor = &self.hall.rooms[self.rank].tensor;
            let cell = |i| tensor.word(lane + i * LANES, part.column + column).to_le_bytes();
            let cells: Vec<[u8; 4]> = (0..copies).map(cell).collect();
            for (place, run) in (*byte as usize..).zip(numbers.chunks_mut(run as usize)) {
                let bits: Vec<u8> = cells.iter().map(|cell| cell[place]).collect();
                let scale = scales.ty.value(bits[0]);
                run.iter_mut().for_each(|number| *number *= scale);
                let same = bits.iter().all(|bits| *bits == cells[0][place]);
                differs = differs.or((!same).then_some((row, lane / LANES, bits)));
            }
        }
        if let Some((row, warp, bits)) = differs {
            let op = plain.op.name();
            let which = if bits.len() == 4 { "the four warps" } else { "two warps" };
            let from = if bits.len() == 4 { String::new() } else { format!(" from {warp} on") };
            let what = format!(
                "`{op}` with scales of row {row} that are {bits:?} in the lanes of {which}{from}"
            );
            self.report(FindingKind::UnequalCopies, loc, what);
        }
    }

    /// Adds the products of this block's rows to its sums.
    fn sums(&mut self, product: &Tcgen05, d: Part, adds: bool, [a, b]: [&[f64]; 2]) {
        let tensor = &mut self.hall.rooms[self.rank].tensor;
        let (k, cd): (usize, Scalar) = (product.k() as usize, product.cd);
        let elements = (0..product.rows()).flat_map(|row| (0..product.n).map(move |n| (row, n)));
        for (row, column) in elements {
            let left = &a[row as usize * k..][..k];
            let right = &b[column as usize * k..][..k];
            let sum: f64 = left.iter().zip(right).map(|(x, y)| x * y).sum();
            let TensorPlace { lane, column, .. } = product.place(row, column);
            let old = tensor.word(lane, d.column + column).into();
            let start = if adds { number(cd, old) } else { 0.0 };
            tensor.put(lane, d.column + column, rounded(cd, start + sum) as u32);
        }
    }

    /// Lets a barrier be come to when all that this thread has begun is over, in one block or several.
    pub(super) fn tensor_commit(&mut self, plain: &Plain, loc: Loc) {
        let (pointer, sort) = (plain.operands[0], Sort::Atomic(Scope::Device));
        let bytes = super::mbarrier::BYTES;
        let Some(spot) = self.reach(Access { pointer, bytes, align: bytes, sort, loc }) else {
            return;
        };
        let Some(ranks) = self.destinations(plain, loc) else { return };
        let begun = &mut self.thread.tensor.begun;
        begun.iter().for_each(|product| product.committed.set(true));
        let products = begun.clone();
        for rank in ranks {
            if !self.usable(rank, spot.at, plain.op.name(), loc) {
                return;
            }
            if self.hall.rooms[rank].alive == 0 {
                return self.visit(rank, sort, loc);
            }
            let (who, warp) = (self.thread.clock.who, self.thread.clock.warp);
            let cargo = Cargo::Products { products: products.clone(), rank, barrier: spot.at };
            let copy = self.world.new_copy();
            self.hall.flights.push(Flight { copy, who, warp, loc, cargo });
        }
    }

    /// The thread ends: nobody will learn that what it has not committed is over.
    pub(super) fn abandon_products(&mut self) {
        let doings = std::mem::take(&mut self.thread.tensor);
        if let Some(begun) = doings.begun.iter().find(|begun| !begun.committed.get()) {
            let what = match begun.shape {
                Some(_) => "begins a product in tensor memory",
                None => "begins a copy to tensor memory",
            };
            let what = format!("{what}, and ends without a `tcgen05_commit`");
            self.report(FindingKind::EndedBlock, begun.loc, what);
        }
    }
}

/// The numbers of bytes of two 4-bit floats, the first in the lower half.
fn unpaired(bytes: &[f64]) -> Vec<f64> {
    bytes.iter().flat_map(|&byte| [byte as u8, byte as u8 >> 4]).map(e2m1).collect()
}
