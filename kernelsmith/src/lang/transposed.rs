//! Tiles of bytes, transposed from one place of shared memory to another: products of 8-bit floats take
//! factors along k only (PTX ISA, `wgmma.mma_async`: `imm-trans` is of 16-bit elements).

use kernelsmith_ir::tensor_map::Swizzle;
use kernelsmith_ir::{Attr, Opcode, Scalar, Space, Type, Value};

use super::element::Stored;
use super::index::KernelIndex;
use super::stage::{build, fail};
use super::swizzled::Tile;
use super::thread::lane_linear;
use super::val::Val;

/// Blocks of 32 columns whose matrices are loaded before the first is stored.
const AT_ONCE: usize = 2;

/// The bytes of four matrices of pairs, two above each other and two beside those, in the order in which
/// they are stored: those of even columns of the upper two, those of odd ones, and the same of the others.
const ORDER: [u8; 16] = [0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15];

impl<T: Stored> Tile<T> {
    /// Writes the 16 rows from `16 * group` on as columns of `to`, in an order in which sums of a product
    /// serve as its left factor ([`SumsAsFactor`](super::wgmma::SumsAsFactor)). Elements are bytes; a warp
    /// does this.
    ///
    /// - Of 16 rows, row `8 p + 2 q + e` becomes column `4 q + 2 p + e`, where `p` and `e` are 0 or 1.
    /// - Column `16 b + 2 r + e` becomes row `16 b + 8 e + r`, so that a product's sums have in columns
    ///   `16 b + 2 q`, `16 b + 8 + 2 q`, `16 b + 2 q + 1` and `16 b + 8 + 2 q + 1`, which one thread has,
    ///   what belongs to columns `16 b + 4 q` to `16 b + 4 q + 3`.
    ///
    /// A transposing `ldmatrix` gives each lane pairs of neighbouring columns of two rows. Of those of rows 8
    /// apart, one permutation of bytes makes four rows of one column, which `stmatrix` stores. Rows that are
    /// stored together are neighbours, which meet all banks.
    #[track_caller]
    pub fn transpose_bytes(&self, to: Tile<T>, group: impl KernelIndex) {
        let (rows, columns) = (self.rows(), self.columns());
        let fits = T::TYPE.size() == 1 && rows.is_multiple_of(16) && columns.is_multiple_of(32);
        if !fits || [to.rows(), to.columns()] != [columns, rows] {
            fail(format!(
                "{rows} x {columns} {} transposed to {} x {}: elements are bytes, rows a multiple of 16 and \
                 columns one of 32, and the other tile has as many columns and rows",
                T::TYPE,
                to.rows(),
                to.columns()
            ));
        }
        let (group, groups) = (group.value(), Val::<usize>::from(rows / 16));
        build(|b| b.check_bounds(group.id, groups.id));
        let pairs = Type::Vector(Scalar::F16, 8);
        let (from, onto) = (Rows::of(self.swizzle()), Rows::of(to.swizzle()));
        let loads = from.across(group);
        let stores = onto.down(group, to.apart());
        for first in (0..columns).step_by(32 * AT_ONCE) {
            let blocks = (first..columns).step_by(32).take(AT_ONCE);
            // No closures, so that operations stand at the caller's line.
            let mut loaded = Vec::new();
            for column in blocks.clone() {
                let (panel, within) = (column / from.width, column % from.width);
                let exchanged = loads ^ Val::<u32>::from(within as u32);
                let address = self.pairs_at(exchanged + (panel * self.apart() * from.width) as u32);
                let attr = Attr::Ldmatrix { count: 4, trans: true };
                loaded.push(build(|b| b.emit1(Opcode::Ldmatrix, attr, &[address], pairs)));
            }
            for (column, matrices) in blocks.zip(loaded) {
                let address = to.pairs_at(stores + (column * onto.width) as u32);
                let bytes = exchanged(matrices, pairs);
                let attr = Attr::Ldmatrix { count: 4, trans: false };
                build(|b| b.emit(Opcode::Stmatrix, attr, &[address, bytes], &[]));
            }
        }
    }

    /// An address so many bytes from the tile's start on, as one of pairs of bytes, of which matrices consist.
    #[track_caller]
    fn pairs_at(&self, at: Val<u32>) -> Value {
        let (at, ty) = (at.cast::<usize>(), Type::Ptr(Space::Shared, Scalar::F16));
        let base = self.panel(0);
        build(|b| {
            let address = b.ptr_add(base, at.id);
            b.emit1(Opcode::PtrCast, Attr::None, &[address], ty)
        })
    }
}

/// Rows of a panel in memory, and where their pieces of 16 bytes lie: those of 8 rows are exchanged by all
/// numbers of pieces, one of [`together`](Rows::together) rows at a time ([`Tile`]). In 32 bits, as a warp that
/// transposes beside others has few registers.
struct Rows {
    width: usize,
    pieces: u32,
    together: u32,
}

impl Rows {
    fn of(swizzle: Swizzle) -> Rows {
        let width = swizzle.width();
        Rows { width: width as usize, pieces: width / 16, together: 128 / width }
    }

    /// What the piece of a lane is exchanged by, whose row in a multiple of 8 is the lane's number.
    #[track_caller]
    fn turn(&self) -> Val<u32> {
        let (pieces, together) = (self.pieces, self.together);
        lane_linear(32, move |lane| lane / together % pieces).cast()
    }

    /// Where a lane loads from a group of 16 rows: one of them, the first piece or the second. Other pieces
    /// of 32 bytes are exchanged by the same.
    #[track_caller]
    fn across(&self, group: Val<usize>) -> Val<u32> {
        let width = self.width as u32;
        let rows: Val<u32> = lane_linear(32, move |lane| lane % 16 * width).cast();
        let second: Val<u32> = lane_linear(32, |lane| lane / 16).cast();
        let piece = (second ^ self.turn()) * 16u32;
        group.cast::<u32>() * (16 * width) + rows + piece
    }

    /// Where a lane stores one of the first 32 of so many rows: the piece that the group is.
    #[track_caller]
    fn down(&self, group: Val<usize>, rows: usize) -> Val<u32> {
        let (group, width) = (group.cast::<u32>(), self.width as u32);
        let panel = group / self.pieces * (rows as u32 * width);
        let own: Val<u32> = lane_linear(32, move |lane| lane * width).cast();
        let piece = ((group % self.pieces) ^ self.turn()) * 16u32;
        panel + own + piece
    }
}

/// Matrices with their bytes in another order.
#[track_caller]
fn exchanged(matrices: Value, ty: Type) -> Value {
    let bytes = Type::Vector(Scalar::U8, 16);
    build(|b| {
        let from = b.emit1(Opcode::Bitcast, Attr::None, &[matrices], bytes);
        let byte = Type::Scalar(Scalar::U8);
        let mut take = |i| b.emit1(Opcode::VecExtract, Attr::Lane(i), &[from], byte);
        let taken = ORDER.map(&mut take);
        let made = b.emit1(Opcode::VecMake, Attr::None, &taken, bytes);
        b.emit1(Opcode::Bitcast, Attr::None, &[made], ty)
    })
}
