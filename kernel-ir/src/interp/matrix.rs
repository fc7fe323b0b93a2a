//! Matrix multiplication by the lanes of a warp, loading its factors and storing its sums.

use std::ops::Range;

use super::access::{Access, Spot};
use super::block::Block;
use super::finding::FindingKind;
use super::hall::Hall;
use super::program::{Plain, Reg};
use super::shadow::Sort;
use super::thread::Run;
use super::world::{Report, World};
use crate::attr::{Attr, Const};
use crate::loc::Loc;
use crate::mma::{MmaShape, Operand};
use crate::types::Scalar;

/// Bytes of a row of the 8x8 matrices that `ldmatrix` loads.
const ROW: usize = 16;

impl Block {
    /// Matrices need every lane: reports it if the block has no threads for some.
    pub(super) fn whole(
        &self,
        world: &mut World<'_>,
        warp: &Range<usize>,
        plain: &Plain,
        loc: Loc,
    ) -> bool {
        let size = world.launch.warp_size as usize;
        if warp.len() == size {
            return true;
        }
        let (op, count) = (plain.op.name(), warp.len());
        let what = format!("`{op}` needs {size} lanes, and the block has threads for {count}");
        let (kind, who) = (FindingKind::InactiveLane, self.threads[warp.start].clock.who);
        world.report(Report { kind, loc, who, what, other: None });
        world.stopped = true;
        false
    }

    /// Sums in f64, rounded once: hardware sums in an order of its own, at least as wide as f32.
    pub(super) fn multiply(
        &mut self,
        world: &mut World<'_>,
        warp: Range<usize>,
        plain: &Plain,
        loc: Loc,
    ) {
        let Attr::Mma(shape) = plain.attr else {
            unreachable!("the kernel is verified: a multiplication has a shape")
        };
        if !self.whole(world, &warp, plain, loc) {
            return;
        }
        let [a, b, c] = [Operand::A, Operand::B, Operand::C]
            .map(|operand| self.matrix(&warp, shape, operand, plain.operands[operand as usize]));
        let result = plain.results[0];
        let (n, k) = (shape.n as usize, shape.k as usize);
        for (lane, thread) in self.threads[warp].iter_mut().enumerate() {
            for index in 0..result.len() {
                let (row, column) = shape.element(Operand::C, lane as u32, index as u32);
                let (row, column) = (row as usize, column as usize);
                let products = (0..k).map(|l| a[row * k + l] * b[l * n + column]);
                let sum = c[row * n + column] + products.sum::<f64>();
                thread.regs[result.index() + index] = rounded(shape.cd, sum);
            }
        }
    }

    /// A whole operand, row by row.
    pub(super) fn matrix(
        &self,
        warp: &Range<usize>,
        shape: MmaShape,
        operand: Operand,
        reg: Reg,
    ) -> Vec<f64> {
        let (rows, columns) = shape.extent(operand);
        let mut matrix = vec![0.0; (rows * columns) as usize];
        for (lane, thread) in (0..).zip(&self.threads[warp.clone()]) {
            for index in 0..shape.fragment_len(operand) {
                let (row, column) = shape.element(operand, lane, index);
                let bits = thread.regs[reg.index() + index as usize];
                matrix[(row * columns + column) as usize] = number(shape.scalar(operand), bits);
            }
        }
        matrix
    }

    /// The matrices that a warp loads or stores; none, which is reported, if the warp is not whole.
    fn matrices(
        &self,
        world: &mut World<'_>,
        warp: &Range<usize>,
        plain: &Plain,
        loc: Loc,
    ) -> Option<Matrices> {
        let Attr::Ldmatrix { count, trans } = plain.attr else {
            unreachable!("the kernel is verified: a load or store of matrices has a count")
        };
        let rows = 8 * usize::from(count);
        self.whole(world, warp, plain, loc).then_some(Matrices { rows, trans })
    }

    /// Lane `i` gives the address of row `i % 8` of matrix `i / 8`, and gets from each matrix the
    /// two elements `2 * (i % 4)` of row `i / 4`, or of that column if transposed.
    pub(super) fn load_matrices(
        &mut self,
        world: &mut World<'_>,
        hall: &mut Hall,
        warp: Range<usize>,
        plain: &Plain,
        loc: Loc,
    ) {
        let Some(matrices) = self.matrices(world, &warp, plain, loc) else { return };
        let mut rows = Vec::new();
        for lane in 0..matrices.rows {
            let (rank, thread) = (self.rank, &mut self.threads[warp.start + lane]);
            let mut run = Run { world, hall, rank, thread };
            match run.load_row(plain.operands[0], loc) {
                Some(row) => rows.push(row),
                // Reported; without a row there is no result to go on with.
                None => return world.stopped = true,
            }
        }
        let result = plain.results[0];
        for (lane, thread) in self.threads[warp].iter_mut().enumerate() {
            for index in 0..result.len() {
                let (row, column) = matrices.element(lane, index);
                thread.regs[result.index() + index] = rows[row][column].into();
            }
        }
    }

    /// The inverse of [`Block::load_matrices`].
    pub(super) fn store_matrices(
        &mut self,
        world: &mut World<'_>,
        hall: &mut Hall,
        warp: Range<usize>,
        plain: &Plain,
        loc: Loc,
    ) {
        let Some(matrices) = self.matrices(world, &warp, plain, loc) else { return };
        let mut rows = vec![[0u16; 8]; matrices.rows];
        let from = plain.operands[1];
        for (lane, thread) in self.threads[warp.clone()].iter().enumerate() {
            for index in 0..from.len() {
                let (row, column) = matrices.element(lane, index);
                rows[row][column] = thread.regs[from.index() + index] as u16;
            }
        }
        for (lane, row) in rows.into_iter().enumerate() {
            let (rank, thread) = (self.rank, &mut self.threads[warp.start + lane]);
            let mut run = Run { world, hall, rank, thread };
            if run.store_row(plain.operands[0], row, loc).is_none() {
                return world.stopped = true;
            }
        }
    }
}

/// 8x8 matrices one below the other, each perhaps transposed.
#[derive(Clone, Copy)]
struct Matrices {
    rows: usize,
    trans: bool,
}

impl Matrices {
    /// The row and column of an element of a lane's fragment: two of each matrix.
    fn element(self, lane: usize, index: usize) -> (usize, usize) {
        let (matrix, row, column) = (index / 2, lane / 4, lane % 4 * 2 + index % 2);
        let (row, column) = if self.trans { (column, row) } else { (row, column) };
        (matrix * 8 + row, column)
    }
}

impl Run<'_, '_> {
    /// Reads the row that this lane gives the address of.
    fn load_row(&mut self, pointer: Reg, loc: Loc) -> Option<[u16; 8]> {
        let access = Access { pointer, bytes: ROW, align: ROW, sort: Sort::Read, loc };
        let spot = Spot { grain: ROW, ..self.reach(access)? };
        self.touch(&spot, Sort::Read, loc);
        let bytes = self.home(spot.home).get(spot.range());
        Some(std::array::from_fn(|i| u16::from_le_bytes([bytes[2 * i], bytes[2 * i + 1]])))
    }

    /// Writes the row that this lane gives the address of.
    fn store_row(&mut self, pointer: Reg, row: [u16; 8], loc: Loc) -> Option<()> {
        let access = Access { pointer, bytes: ROW, align: ROW, sort: Sort::Write, loc };
        let spot = Spot { grain: ROW, ..self.reach(access)? };
        self.touch(&spot, Sort::Write, loc);
        let bytes: Vec<u8> = row.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.home_mut(spot.home).put(spot.at, &bytes);
        Some(())
    }
}

/// A sum as its type holds it.
pub(super) fn rounded(ty: Scalar, sum: f64) -> u64 {
    match ty {
        // 2^53 is far beyond products of bytes and an accumulator.
        ty if ty.is_int() => Const::int(ty, sum as i128).bits,
        ty => Const::float(ty, sum).bits,
    }
}

/// An element of a factor or sum.
pub(super) fn number(ty: Scalar, bits: u64) -> f64 {
    let bits = match ty {
        // The tensor core reads the upper 19 bits (PTX ISA, "Alternate floating point data formats").
        Scalar::TF32 => return f32::from_bits(bits as u32 & !0x1FFF).into(),
        _ => Const { ty, bits },
    };
    bits.as_f64().unwrap_or_else(|| bits.as_int() as f64)
}
