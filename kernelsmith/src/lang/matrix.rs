//! Tensor cores at thread level: the fragments of `mma`, typed by instruction and operand.
//!
//! A matrix instruction multiplies tiles held by a whole warp: `D = A * B + C` with `A: m x k`,
//! `B: k x n`, `C, D: m x n`. Each lane holds a [`Fragment`] of each, and which elements those are is
//! the instruction's layout ([`kernelsmith_ir::mma`], by the manuals named there). An instruction is
//! a type, an [atom](MmaAtom): `MmaSync<bf16, 16, 8, 16>`. Fragments of different atoms or operands
//! are different types, and atoms that no chip has are none:
//!
//! | Atom | `m x n x k` | elements -> accumulators | manual |
//! |---|---|---|---|
//! | [`MmaSync`] | 16x8x8, 16x8x16 | f16, bf16 -> f32 | PTX ISA, "Warp-level matrix instructions: mma" |
//! | [`MmaSync`] | 8x8x16, 16x8x16, 16x8x32 | i8, u8 -> i32 | the same |
//! | [`MmaSync`] | 16x8x32 | e4m3, e5m2 -> f32 | the same |
//! | [`MmaSync`] | 8x8x4, 16x8x4, 16x8x8, 16x8x16 | f64 -> f64 | the same |
//! | [`Mfma`] | 16x16x16, 32x32x8, 16x16x32 | f16, bf16 -> f32 | AMD CDNA3 and CDNA4 ISA, "VOP3P-MAI" |
//! | [`Mfma`] | 16x16x4 | f32 -> f32 | the same |
//! | [`WmmaGfx11`], [`WmmaGfx12`] | 16x16x16 | f16, bf16 -> f32 | AMD RDNA3 and RDNA4 ISA, "WMMA" |
//!
//! All threads of the warp take part in [`mma`] and [`Fragment::ldmatrix`]; neither may stand under
//! a condition in which lanes differ. Compiling a kernel for a target without its atom is an error
//! that names the targets with it.

use std::marker::PhantomData;

use half::{bf16, f16};
use kernelsmith_ir::attr::CheckKind;
use kernelsmith_ir::mma::{Family, MmaShape, Operand};
use kernelsmith_ir::{Attr, Opcode, Scalar, Type, Value};
use kernelsmith_runtime::{e4m3, e5m2};

use super::element::{Num, Stored};
use super::index::{At, AtMut, KernelIndex, Memory, Slot, checked, unchecked};
use super::place::Place;
use super::shared::Shared;
use super::stage::{build, fail};
use super::staged::one_leaf;
use super::val::{StoredAs, Val};

pub(crate) mod sealed {
    pub trait Sealed {}
}

/// A matrix instruction: a shape, the type of the factors' elements and that of the accumulator's.
/// It is sealed: the atoms are those that chips have.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no matrix instruction",
    note = "there are MmaSync<f16 or bf16, 16, 8, 8 or 16>, MmaSync<i8 or u8, 16, 8, 16 or 32>, \
            MmaSync<i8 or u8, 8, 8, 16>, MmaSync<e4m3 or e5m2, 16, 8, 32>, MmaSync<f64, 8, 8, 4>, \
            MmaSync<f64, 16, 8, 4, 8 or 16>, Mfma<f16 or bf16, 16, 16, 16 or 32>, Mfma<f16 or bf16, 32, 32, 8>, \
            Mfma<f32, 16, 16, 4>, WmmaGfx11<f16 or bf16, 16, 16, 16> and \
            WmmaGfx12<f16 or bf16, 16, 16, 16>"
)]
pub trait MmaAtom: sealed::Sealed + Copy + Send + Sync + 'static {
    /// The type of the elements of A and B in memory.
    type Input: Stored;
    /// The type of the elements of C and D.
    type Sum: Num;
    /// The instruction in the IR, with the layout of its fragments.
    const SHAPE: MmaShape;
    /// Rows of A and C.
    const M: usize = Self::SHAPE.m as usize;
    /// Columns of B and C.
    const N: usize = Self::SHAPE.n as usize;
    /// Columns of A, rows of B.
    const K: usize = Self::SHAPE.k as usize;
}

macro_rules! families {
    ($($(#[$meta:meta])* $name:ident;)*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub struct $name<T, const M: usize, const N: usize, const K: usize>(PhantomData<T>);
    )*};
}

families! {
    /// NVIDIA's `mma.sync`, from sm_80 on (f16 with k = 8 and bytes of 8 rows from sm_75 on, 8-bit
    /// floats from sm_89 on, f64 of 16 rows from sm_90 on).
    MmaSync;
    /// AMD's `v_mfma`, on gfx90a, gfx942 and gfx950 (k = 32 on gfx950).
    Mfma;
    /// AMD's `v_wmma` as RDNA 3 (gfx11) lays out its fragments.
    WmmaGfx11;
    /// AMD's `v_wmma` as RDNA 4 (gfx12) lays out its fragments.
    WmmaGfx12;
}

macro_rules! atoms {
    ($($family:ident<$ab:ty, $m:literal, $n:literal, $k:literal> $scalar:ident -> $cd:ty, $sum:ident;)*) => {
        $(
            impl sealed::Sealed for $family<$ab, $m, $n, $k> {}

            impl MmaAtom for $family<$ab, $m, $n, $k> {
                type Input = $ab;
                type Sum = $cd;
                const SHAPE: MmaShape = MmaShape {
                    family: Family::$family,
                    m: $m,
                    n: $n,
                    k: $k,
                    ab: Scalar::$scalar,
                    cd: Scalar::$sum,
                };
            }
        )*

        #[cfg(test)]
        const ATOMS: &[MmaShape] = &[$(<$family<$ab, $m, $n, $k> as MmaAtom>::SHAPE),*];
    };
}

atoms! {
    MmaSync<f16, 16, 8, 8> F16 -> f32, F32;
    MmaSync<bf16, 16, 8, 8> BF16 -> f32, F32;
    MmaSync<f16, 16, 8, 16> F16 -> f32, F32;
    MmaSync<bf16, 16, 8, 16> BF16 -> f32, F32;
    MmaSync<i8, 16, 8, 16> I8 -> i32, I32;
    MmaSync<i8, 16, 8, 32> I8 -> i32, I32;
    MmaSync<i8, 8, 8, 16> I8 -> i32, I32;
    MmaSync<u8, 8, 8, 16> U8 -> i32, I32;
    MmaSync<u8, 16, 8, 16> U8 -> i32, I32;
    MmaSync<u8, 16, 8, 32> U8 -> i32, I32;
    MmaSync<e4m3, 16, 8, 32> E4M3 -> f32, F32;
    MmaSync<e5m2, 16, 8, 32> E5M2 -> f32, F32;
    MmaSync<f64, 8, 8, 4> F64 -> f64, F64;
    MmaSync<f64, 16, 8, 4> F64 -> f64, F64;
    MmaSync<f64, 16, 8, 8> F64 -> f64, F64;
    MmaSync<f64, 16, 8, 16> F64 -> f64, F64;
    Mfma<f16, 16, 16, 16> F16 -> f32, F32;
    Mfma<bf16, 16, 16, 16> BF16 -> f32, F32;
    Mfma<f16, 32, 32, 8> F16 -> f32, F32;
    Mfma<bf16, 32, 32, 8> BF16 -> f32, F32;
    Mfma<f32, 16, 16, 4> F32 -> f32, F32;
    Mfma<f16, 16, 16, 32> F16 -> f32, F32;
    Mfma<bf16, 16, 16, 32> BF16 -> f32, F32;
    WmmaGfx11<f16, 16, 16, 16> F16 -> f32, F32;
    WmmaGfx11<bf16, 16, 16, 16> BF16 -> f32, F32;
    WmmaGfx12<f16, 16, 16, 16> F16 -> f32, F32;
    WmmaGfx12<bf16, 16, 16, 16> BF16 -> f32, F32;
}

/// Which matrix of the instruction a fragment belongs to. Sealed.
pub trait MatrixRole: sealed::Sealed + Copy + Send + Sync + 'static {
    /// The operand of the instruction.
    const OPERAND: Operand;
    /// The type of its elements in an atom.
    type Element<S: MmaAtom>: Stored;
}

macro_rules! roles {
    ($($(#[$meta:meta])* $name:ident $operand:ident $element:ident;)*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub struct $name;

        impl sealed::Sealed for $name {}

        impl MatrixRole for $name {
            const OPERAND: Operand = Operand::$operand;
            type Element<S: MmaAtom> = S::$element;
        }
    )*};
}

roles! {
    /// The left factor, `m x k`.
    MatrixA A Input;
    /// The right factor, `k x n`.
    MatrixB B Input;
    /// What is added to and the result, `m x n`.
    Accumulator C Sum;
}

/// The order of a matrix in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MatrixLayout {
    /// Neighbours of a row are neighbours in memory.
    RowMajor,
    /// Neighbours of a column are neighbours in memory.
    ColumnMajor,
}

impl MatrixLayout {
    /// Where an element is.
    #[track_caller]
    fn index(
        self,
        start: Val<usize>,
        stride: Val<usize>,
        row: Val<usize>,
        column: Val<usize>,
    ) -> Val<usize> {
        match self {
            MatrixLayout::RowMajor => start + row * stride + column,
            MatrixLayout::ColumnMajor => start + column * stride + row,
        }
    }
}

/// This lane's part of a matrix that the warp holds: operand `R` of the instruction `S`.
///
/// `fragment[i]` is an element, for a host `i` below [`LEN`](Fragment::LEN); of a `let mut`
/// fragment it can be assigned. [`row`](Fragment::row) and [`column`](Fragment::column) tell where
/// in the matrix it is.
pub struct Fragment<S: MmaAtom, R: MatrixRole> {
    id: Value,
    kind: PhantomData<(S, R)>,
}

one_leaf!([S: MmaAtom, R: MatrixRole] Fragment<S, R>: Self::TYPE);

impl<S: MmaAtom, R: MatrixRole> Fragment<S, R> {
    /// Elements that a lane holds.
    pub const LEN: usize = S::SHAPE.fragment_len(R::OPERAND) as usize;

    const TYPE: Type = S::SHAPE.fragment_type(R::OPERAND);

    pub(crate) fn of(id: Value) -> Self {
        Fragment { id, kind: PhantomData }
    }

    /// The vector in the IR.
    pub(crate) fn value(&self) -> Value {
        self.id
    }

    /// Elements that a lane holds.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        Self::LEN
    }

    /// A matrix of which every element is `x`.
    #[track_caller]
    pub fn splat(x: Val<R::Element<S>>) -> Self {
        Self::from_elements(|_| x)
    }

    /// A matrix of zeros.
    #[track_caller]
    pub fn zero() -> Self {
        let zero = kernelsmith_ir::attr::Const::new(Self::TYPE.elem(), 0);
        let zero = Val::from_id(build(|b| b.constant(zero)));
        Self::from_elements(|_| zero)
    }

    /// The matrix of which the element at a row and column is `element(row, column)`.
    #[track_caller]
    pub fn from_fn(mut element: impl FnMut(Val<usize>, Val<usize>) -> Val<R::Element<S>>) -> Self {
        let at: Vec<_> = (0..Self::LEN).map(|i| (Self::row(i), Self::column(i))).collect();
        let elements: Vec<_> = at.into_iter().map(|(row, column)| element(row, column)).collect();
        Self::from_elements(|i| elements[i])
    }

    #[track_caller]
    pub(crate) fn from_elements(element: impl Fn(usize) -> Val<R::Element<S>>) -> Self {
        let elements: Vec<Value> = (0..Self::LEN).map(|i| element(i).id).collect();
        Self::of(match elements[..] {
            [one] if Self::LEN == 1 => one,
            _ => build(|b| b.emit1(Opcode::VecMake, Attr::None, &elements, Self::TYPE)),
        })
    }

    /// The row, in the whole matrix, of this lane's element `i`.
    #[track_caller]
    pub fn row(i: usize) -> Val<usize> {
        Self::coordinate(i, |(row, _)| row)
    }

    /// The column, in the whole matrix, of this lane's element `i`.
    #[track_caller]
    pub fn column(i: usize) -> Val<usize> {
        Self::coordinate(i, |(_, column)| column)
    }

    #[track_caller]
    fn coordinate(i: usize, axis: fn((u32, u32)) -> u32) -> Val<usize> {
        Self::check(i);
        let at = |lane| axis(S::SHAPE.element(R::OPERAND, lane, i as u32));
        super::thread::lane_linear(S::SHAPE.warp_size(), at)
    }

    #[track_caller]
    fn check(i: usize) {
        if i >= Self::LEN {
            fail(format!(
                "element {i} of a fragment of {}, which has {} elements",
                S::SHAPE.name(),
                Self::LEN
            ));
        }
    }

    /// This lane's element `i`; the same as `fragment[i]`.
    #[track_caller]
    pub fn element(&self, i: usize) -> Val<R::Element<S>> {
        Self::check(i);
        if Self::LEN == 1 {
            return Val::from_id(self.id);
        }
        let ty = Type::Scalar(Self::TYPE.elem());
        Val::from_id(build(|b| b.emit1(Opcode::VecExtract, Attr::Lane(i as u8), &[self.id], ty)))
    }

    /// The fragment with another element `i`.
    #[track_caller]
    #[must_use]
    pub fn with_element(&self, i: usize, x: Val<R::Element<S>>) -> Self {
        Self::check(i);
        if Self::LEN == 1 {
            return Self::of(x.id);
        }
        Self::of(build(|b| {
            b.emit1(Opcode::VecInsert, Attr::Lane(i as u8), &[self.id, x.id], Self::TYPE)
        }))
    }

    /// The matrix of `f(row, column, element)`.
    #[track_caller]
    #[must_use]
    pub fn map(
        &self,
        mut f: impl FnMut(Val<usize>, Val<usize>, Val<R::Element<S>>) -> Val<R::Element<S>>,
    ) -> Self {
        // No closure, so that operations stand at the caller's line.
        let mut old = Vec::new();
        for i in 0..Self::LEN {
            old.push((Self::row(i), Self::column(i), self.element(i)));
        }
        let new: Vec<_> = old.into_iter().map(|(row, column, x)| f(row, column, x)).collect();
        Self::from_elements(|i| new[i])
    }

    /// The fragment of `f(i, element)` for each index `i` that a lane has elements by.
    #[track_caller]
    #[must_use]
    pub fn map_elements(
        &self,
        mut f: impl FnMut(usize, Val<R::Element<S>>) -> Val<R::Element<S>>,
    ) -> Self {
        let mut new = Vec::new();
        for i in 0..Self::LEN {
            new.push(f(i, self.element(i)));
        }
        Self::from_elements(|i| new[i])
    }

    /// Calls `f(row, column, element)` for each of this lane's elements: a store with conditions,
    /// conversions or an epilogue. On gfx11 two lanes hold each element of A and B.
    #[track_caller]
    pub fn for_each(&self, mut f: impl FnMut(Val<usize>, Val<usize>, Val<R::Element<S>>)) {
        for i in 0..Self::LEN {
            f(Self::row(i), Self::column(i), self.element(i));
        }
    }

    /// Loads the matrix from memory, element by element and checked. Its first element is
    /// `memory[start]`; rows are `stride` elements apart (columns, if the layout is column-major).
    #[track_caller]
    pub fn load_matrix(
        memory: impl Memory<R::Element<S>>,
        start: impl KernelIndex,
        stride: impl KernelIndex,
        layout: MatrixLayout,
    ) -> Self {
        let (start, stride) = (start.value(), stride.value());
        Self::from_fn(|row, column| {
            checked(&memory, layout.index(start, stride, row, column)).get()
        })
    }

    /// Stores the matrix to a buffer or shared memory, laid out as
    /// [`load_matrix`](Fragment::load_matrix) reads it.
    #[track_caller]
    pub fn store_matrix(
        &self,
        memory: impl AtMut<Val<usize>, Slot = Slot<R::Element<S>>>,
        start: impl KernelIndex,
        stride: impl KernelIndex,
        layout: MatrixLayout,
    ) {
        let (start, stride) = (start.value(), stride.value());
        self.for_each(|row, column, x| {
            memory.slot(layout.index(start, stride, row, column)).set(x);
        });
    }
}

/// `a * b + c` by one instruction of the warp. In f32 accumulators the products are exact and the
/// order of summation is the hardware's.
#[track_caller]
pub fn mma<S: MmaAtom>(
    a: Fragment<S, MatrixA>,
    b: Fragment<S, MatrixB>,
    c: Fragment<S, Accumulator>,
) -> Fragment<S, Accumulator> {
    let operands = [a.id, b.id, c.id];
    let ty = Fragment::<S, Accumulator>::TYPE;
    Fragment::of(build(|b| b.emit1(Opcode::Mma, Attr::Mma(S::SHAPE), &operands, ty)))
}

/// Operands that `ldmatrix` loads: A and B of [`MmaSync`] with 16-bit elements. Sealed.
#[diagnostic::on_unimplemented(
    message = "`ldmatrix` does not load fragments of `{Self}`",
    note = "it loads MatrixA and MatrixB of MmaSync<f16 or bf16, 16, 8, 8 or 16>; others load with \
            `Fragment::load_matrix`"
)]
pub trait LdmatrixAtom: MmaAtom {}

impl LdmatrixAtom for MmaSync<f16, 16, 8, 8> {}
impl LdmatrixAtom for MmaSync<bf16, 16, 8, 8> {}
impl LdmatrixAtom for MmaSync<f16, 16, 8, 16> {}
impl LdmatrixAtom for MmaSync<bf16, 16, 8, 16> {}

/// The factors: [`MatrixA`] and [`MatrixB`]. Sealed.
pub trait FactorRole: MatrixRole {}

impl FactorRole for MatrixA {}
impl FactorRole for MatrixB {}

impl<S: LdmatrixAtom, R: FactorRole> Fragment<S, R> {
    /// Loads the matrix from shared memory by one `ldmatrix` (PTX ISA, "Warp-level matrix load
    /// instruction: ldmatrix"; sm_75 and newer).
    ///
    /// `tile[start]` is its first element, and `stride` the distance of rows (of columns, if the
    /// layout is column-major). Both are multiples of 8, as the instruction takes 16 aligned bytes
    /// from each lane; a `start` that is none is an error when the kernel runs, as is one out of
    /// bounds.
    #[track_caller]
    pub fn ldmatrix(
        tile: Shared<R::Element<S>>,
        start: impl KernelIndex,
        stride: usize,
        layout: MatrixLayout,
    ) -> Self {
        aligned(start, 8, "the start of an ldmatrix tile is a multiple of 8 elements");
        let row = Self::ldmatrix_row(start, stride, layout);
        let (last, len) = (row + 7usize, tile.length());
        build(|b| b.check_bounds(last.id, len.id));
        Self::ldmatrix_at(tile, row, layout)
    }

    /// [`ldmatrix`](Fragment::ldmatrix) without its checks.
    ///
    /// # Safety
    /// On every lane `start` is a multiple of 8 and the whole matrix lies in the tile.
    #[track_caller]
    pub unsafe fn ldmatrix_unchecked(
        tile: Shared<R::Element<S>>,
        start: impl KernelIndex,
        stride: usize,
        layout: MatrixLayout,
    ) -> Self {
        let row = Self::ldmatrix_row(start, stride, layout);
        Self::ldmatrix_at(tile, row, layout)
    }

    /// 8x8 matrices of the fragment, each a 32-bit register.
    const MATRICES: u32 = Self::LEN as u32 / 2;

    /// Lanes hold neighbours along a row of A, and along a column of B, in one register. From
    /// memory in the other order the matrices are transposed on the way.
    fn transposed(layout: MatrixLayout) -> bool {
        match R::OPERAND {
            Operand::B => layout == MatrixLayout::RowMajor,
            _ => layout == MatrixLayout::ColumnMajor,
        }
    }

    /// The index of the eight elements that this lane's address is of: row `lane % 8` of matrix
    /// `lane / 8`. (Lanes beyond the last matrix repeat the first ones, and are not looked at.)
    #[track_caller]
    fn ldmatrix_row(start: impl KernelIndex, stride: usize, layout: MatrixLayout) -> Val<usize> {
        if !stride.is_multiple_of(8) {
            fail(format!(
                "ldmatrix of rows {stride} elements apart: they are a multiple of 8 elements, 16 \
                 bytes, apart"
            ));
        }
        let (stride, trans) = (stride as u32, Self::transposed(layout));
        // Register j of A is rows 8 * (j % 2) and columns 8 * (j / 2) on, of B rows 8 * j on.
        let offset = super::thread::lane_linear(32, |lane| {
            let (lane, part) = (lane % (8 * Self::MATRICES), lane % 8);
            let matrix = lane / 8;
            let (row, column) = match R::OPERAND {
                Operand::B => (8 * matrix, 0),
                _ => (8 * (matrix % 2), 8 * (matrix / 2)),
            };
            // What a lane's eight elements do not run along, its number in the matrix counts.
            let along_rows = layout == MatrixLayout::RowMajor;
            let (row, column) =
                if along_rows { (row + part, column) } else { (row, column + part) };
            debug_assert_eq!(trans, along_rows == (R::OPERAND == Operand::B));
            if along_rows { row * stride + column } else { column * stride + row }
        });
        start.value() + offset
    }

    #[track_caller]
    fn ldmatrix_at(tile: Shared<R::Element<S>>, row: Val<usize>, layout: MatrixLayout) -> Self {
        let address = unchecked(&tile, row).address();
        let attr = Attr::Ldmatrix { count: Self::MATRICES as u8, trans: Self::transposed(layout) };
        Self::of(build(|b| b.emit1(Opcode::Ldmatrix, attr, &[address], Self::TYPE)))
    }
}

/// Reports an error and ends the thread unless an index is a multiple of `unit`.
#[track_caller]
pub(crate) fn aligned(index: impl KernelIndex, unit: usize, rule: &str) {
    match index.host() {
        Some(i) if !i.is_multiple_of(unit) => fail(format!("{rule}, which {i} is not")),
        Some(_) => {}
        None => {
            let fits = super::compare::eq(index.value() & (unit - 1), 0);
            build(|b| b.check(fits.id, CheckKind::Assert, Some(rule)));
        }
    }
}

impl<S: MmaAtom, R: MatrixRole> At<usize> for Fragment<S, R> {
    type Out = Val<R::Element<S>>;
    #[track_caller]
    fn at(&self, index: usize) -> Self::Out {
        self.element(index)
    }
}

/// An element of a fragment that is a variable.
pub struct FragmentSlot<S: MmaAtom, R: MatrixRole> {
    fragment: Place<Fragment<S, R>>,
    index: usize,
}

impl<S: MmaAtom, R: MatrixRole> FragmentSlot<S, R> {
    /// Reads the element.
    #[track_caller]
    pub fn get(&self) -> Val<R::Element<S>> {
        self.fragment.get().element(self.index)
    }

    /// Writes the element.
    #[track_caller]
    pub fn set(&self, value: Val<R::Element<S>>) {
        self.fragment.set(self.fragment.get().with_element(self.index, value));
    }

    /// Writes a value that has a type of its own: a host number becomes a run-time one.
    #[track_caller]
    pub fn set_typed<V: StoredAs<Val<R::Element<S>>>>(&self, value: V) {
        self.set(value.stored());
    }

    /// Writes `new` if it is not the `old` that was read from here.
    #[track_caller]
    pub fn write_back(&self, old: &Val<R::Element<S>>, new: &Val<R::Element<S>>) {
        if old.id != new.id {
            self.set(*new);
        }
    }
}

impl<S: MmaAtom, R: MatrixRole> AtMut<usize> for Place<Fragment<S, R>> {
    type Slot = FragmentSlot<S, R>;
    #[track_caller]
    fn slot(&self, index: usize) -> FragmentSlot<S, R> {
        FragmentSlot { fragment: *self, index }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernelsmith_ir::mma::SHAPES;

    /// tf32 is no type of fragments yet; every other instruction of the IR is an atom.
    #[test]
    fn atoms_are_the_instructions_of_the_table() {
        let table: Vec<_> = SHAPES.iter().filter(|s| s.ab != Scalar::TF32).collect();
        assert_eq!(table, ATOMS.iter().collect::<Vec<_>>());
    }
}
