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
use super::wgmma::SharedFactor;
use crate::attr::{Attr, Scope};
use crate::loc::Loc;
use crate::op::Opcode;
use crate::tcgen05::scales::{LANES, Scales, e2m1, scale_place};
use crate::tcgen05::{ROWS, Tcgen05, a_place, are_pairs, place};
use crate::types::Scalar;
use crate::wgmma::SmemLayout;

/// Bytes of a factor's row.
const DEPTH: u32 = 32;

/// The scales of a factor.
struct Scaled<'k> {
    product: &'k Tcgen05,
    scales: Scales,
    /// Where the scales lie.
    part: Part,
    /// The byte of a cell where those of a row begin.
    byte: u32,
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
        // Where something is missing, that was reported.
        let _ = self.begin_product(&product, plain, loc);
    }

    fn begin_product(&mut self, product: &Tcgen05, plain: &Plain, loc: Loc) -> Option<()> {
        let adds = self.thread.get(plain.operands[3]) != 0;
        let (copy, landed) = (self.world.new_copy(), Landing::default());
        let shape = Some((product.n, product.ab, product.cd));
        let (mut shared, mut reads) = (Vec::new(), Vec::new());
        let d = self.columns(plain, 0, product.n, loc)?;
        let reading = (Sort::CopyRead(copy), true, &landed);
        let mut a = match product.a {
            Some(layout) => {
                let factor = self.factor(plain, 1, product.ab, (ROWS, layout));
                self.shared_factor(factor, copy, &mut shared, loc)?
            }
            None => {
                let part = self.columns(plain, 1, DEPTH / crate::tcgen05::CELL, loc)?;
                self.follow_copies(part);
                self.touch_tensor(plain, part, reading, loc);
                reads.push(part);
                self.tensor_factor(product, part)
            }
        };
        let factor = self.factor(plain, 2, product.ab, (product.n, product.b));
        let mut b = self.shared_factor(factor, copy, &mut shared, loc)?;
        if are_pairs(product.ab, product.cd) {
            (a, b) = (unpaired(&a), unpaired(&b));
        }
        if let Some(scales) = product.scales {
            let own = [(4, ROWS, scales.a_byte, &mut a), (5, product.n, scales.b_byte, &mut b)];
            for (operand, rows, byte, numbers) in own {
                let part = self.columns(plain, operand, Scales::columns(rows), loc)?;
                self.follow_copies(part);
                self.touch_tensor(plain, part, reading, loc);
                reads.push(part);
                self.scale(plain, &Scaled { product, scales, part, byte }, numbers, loc);
            }
        }
        self.follow_copies(d);
        for before in self.thread.tensor.begun.iter().filter(|p| p.writes == d && p.shape == shape)
        {
            self.hall.rooms[self.rank].tensor.follow(before, d);
        }
        self.touch_tensor(plain, d, (Sort::CopyWrite(copy), adds, &landed), loc);
        self.sums(product, d, adds, [&a, &b]);
        let committed = false.into();
        let begun = Begun { copy, loc, shared, reads, writes: d, shape, committed, landed };
        self.thread.tensor.begun.push(Rc::new(begun));
        Some(())
    }

    /// Begins a copy from shared memory.
    pub(super) fn tensor_copy(&mut self, plain: &Plain, loc: Loc) {
        let Attr::Tcgen05Copy(moved) = plain.attr else {
            unreachable!("the kernel is verified: a copy has a shape")
        };
        let (shape, copy, landed) = (moved.shape, self.world.new_copy(), Landing::default());
        let Some(part) = self.columns(plain, 0, shape.bytes() / 4, loc) else { return };
        let (pointer, elem, layout) = (plain.operands[1], Scalar::U8, moved.layout);
        let rows = SharedFactor { pointer, elem, k: shape.bytes(), layout, rows: shape.rows() };
        let mut shared = Vec::new();
        let Some(bytes) = self.shared_factor(rows, copy, &mut shared, loc) else { return };
        self.touch_tensor(plain, part, (Sort::CopyWrite(copy), false, &landed), loc);
        let tensor = &mut self.hall.rooms[self.rank].tensor;
        for lane in 0..ROWS {
            let row = &bytes[(shape.row(lane) * shape.bytes()) as usize..];
            for (column, cell) in (part.column..part.column + part.columns).zip(row.chunks(4)) {
                let cell = std::array::from_fn(|i| cell[i] as u8);
                tensor.put(lane, column, u32::from_le_bytes(cell));
            }
        }
        let (reads, committed) = (Vec::new(), false.into());
        let begun =
            Begun { copy, loc, shared, reads, writes: part, shape: None, committed, landed };
        self.thread.tensor.begun.push(Rc::new(begun));
    }

    /// What this thread has copied there before, without a wait, is there for a product.
    fn follow_copies(&mut self, part: Part) {
        for before in self.thread.tensor.begun.iter().filter(|begun| begun.shape.is_none()) {
            self.hall.rooms[self.rank].tensor.follow(before, part);
        }
    }

    /// All lanes of columns that were taken, from the address of an operand on.
    fn columns(&mut self, plain: &Plain, operand: usize, columns: u32, loc: Loc) -> Option<Part> {
        let (lane, column) = place(self.thread.get(plain.operands[operand]) as u32);
        let part = Part::columns(column, columns);
        if lane == 0 && self.hall.rooms[self.rank].tensor.has(part) {
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

    /// Notes what an engine does in tensor memory, which others learn of by its landing.
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
            .flat_map(|row| (0..DEPTH / size).map(move |k| (row, k)))
            .map(|(row, k)| element(row, k))
            .collect()
    }

    /// Multiplies the rows of a factor by their scales, which have to be the same in the lanes of all warps.
    fn scale(&mut self, plain: &Plain, scaled: &Scaled<'_>, numbers: &mut [f64], loc: Loc) {
        let Scaled { product, scales, part, byte } = scaled;
        let k = product.k() as usize;
        let run = k / scales.count as usize;
        let mut differs = None;
        for (row, numbers) in (0..).zip(numbers.chunks_mut(k)) {
            let (lane, column) = scale_place(row);
            let tensor = &self.hall.rooms[self.rank].tensor;
            let cells = [0, 1, 2, 3]
                .map(|warp| tensor.word(warp * LANES + lane, part.column + column).to_le_bytes());
            for (place, run) in (*byte as usize..).zip(numbers.chunks_mut(run)) {
                let bits = cells.map(|cell| cell[place]);
                differs = differs.or((bits != [bits[0]; 4]).then_some((row, bits)));
                let scale = scales.ty.value(bits[0]);
                run.iter_mut().for_each(|number| *number *= scale);
            }
        }
        if let Some((row, bits)) = differs {
            let op = plain.op.name();
            let what = format!(
                "`{op}` with scales of row {row} that are {bits:?} in the lanes of the four warps"
            );
            self.report(FindingKind::UnequalCopies, loc, what);
        }
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
