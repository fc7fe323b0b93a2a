//! Hopper's warpgroup matrix instruction (PTX ISA, "Asynchronous Warpgroup Level Matrix
//! Multiply-Accumulate Instructions"; sm_90a).
//!
//! Four warps begin a product, and go on while it is computed. Its sums are [`InFlight`]: only
//! another product may add to them, until they are [waited for](InFlight::wait) and become a
//! [`Fragment`]. Products are closed into groups; [`wgmma_wait`] waits for groups.
//!
//! ```
//! use kernelsmith::prelude::*;
//!
//! /// 64 x 64 sums over 64 columns of two tiles that lie in shared memory.
//! #[device]
//! fn product(a: Tile<bf16>, b: Tile<bf16>) -> Fragment<Wgmma<bf16, 64>, Accumulator> {
//!     let mut sums = InFlight::<Wgmma<bf16, 64>>::zero();
//!     wgmma_fence();
//!     for k in unroll(0..4) {
//!         sums = wgmma(a.k_major(0, 16 * k), b.k_major(0, 16 * k), sums, true);
//!     }
//!     wgmma_commit();
//!     sums.wait()
//! }
//! ```

use std::marker::PhantomData;

use half::{bf16, f16};
use kernelsmith_ir::attr::CacheHint;
use kernelsmith_ir::mma::{MmaShape, Operand};
use kernelsmith_ir::wgmma::{self as ir, exists};
use kernelsmith_ir::{Attr, Opcode, Scalar, Space, Type, Value};
use kernelsmith_runtime::{e4m3, e5m2};

use super::element::{Element, Num};
use super::index::KernelIndex;
use super::matrix::{Accumulator, Fragment, MatrixA, MmaAtom};
use super::stage::{build, fail};
use super::staged::one_leaf;
use super::swizzled::{Factor, Tile};
use super::val::{IntoVal, Val};

/// The instruction `wgmma` of `N` columns, a multiple of 8 up to 256: `64 x N` sums in f32 over 32
/// bytes of factors of type `T`.
///
/// | `T` | elements in memory | sums | along |
/// |---|---|---|---|
/// | `f16`, `bf16` | the same | f32 | k, m or n |
/// | [`Tf32`] | f32, of which the upper 19 bits are read | f32 | k |
/// | `e4m3`, `e5m2` | the same | f32, in which long sums lose bits | k |
/// | `i8`, `u8` | the same | i32 | k |
///
/// Sums of 8-bit floats keep fewer bits than an f32 while the tensor core adds to them (DeepSeek-V3
/// Technical Report, section 3.3.2): kernels add them up in registers of their own from time to time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wgmma<T, const N: usize>(PhantomData<T>);

/// Names the products of f32 of which the tensor core reads the upper 19 bits: 8 of the exponent, 10 of
/// the mantissa (PTX ISA, "Alternate Floating-Point Data Formats: tf32"). Factors are in shared memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tf32;

macro_rules! wgmmas {
    ($($ab:ty: $input:ty, $scalar:ident -> $cd:ty, $sum:ident;)*) => {$(
        impl<const N: usize> super::matrix::sealed::Sealed for Wgmma<$ab, N> {}

        impl<const N: usize> MmaAtom for Wgmma<$ab, N> {
            type Input = $input;
            type Sum = $cd;
            const SHAPE: MmaShape = {
                assert!(N >= 8 && N <= 256 && N.is_multiple_of(8), "wgmma has 8, 16, .. 256 columns");
                ir::shape(N as u32, Scalar::$scalar, Scalar::$sum)
            };
        }

        impl<const N: usize> WgmmaAtom for Wgmma<$ab, N> {}
    )*};
}

wgmmas! {
    f16: f16, F16 -> f32, F32;
    bf16: bf16, BF16 -> f32, F32;
    Tf32: f32, TF32 -> f32, F32;
    e4m3: e4m3, E4M3 -> f32, F32;
    e5m2: e5m2, E5M2 -> f32, F32;
    i8: i8, I8 -> i32, I32;
    u8: u8, U8 -> i32, I32;
}

/// The shapes of [`Wgmma`]. Sealed.
pub trait WgmmaAtom: MmaAtom {}

/// Sums that a product may still be adding to.
#[must_use = "sums in flight are waited for"]
pub struct InFlight<S: WgmmaAtom> {
    id: Value,
    kind: PhantomData<S>,
}

one_leaf!([S: WgmmaAtom] InFlight<S>: S::SHAPE.fragment_type(Operand::C));

impl<S: WgmmaAtom> From<Fragment<S, Accumulator>> for InFlight<S> {
    fn from(sums: Fragment<S, Accumulator>) -> Self {
        InFlight::of(sums.value())
    }
}

impl<S: WgmmaAtom> InFlight<S> {
    fn of(id: Value) -> Self {
        InFlight { id, kind: PhantomData }
    }

    /// Sums of nothing, to begin with.
    #[track_caller]
    pub fn zero() -> Self {
        Fragment::zero().into()
    }

    /// Waits for every product of the warpgroup that was closed into a group, these among them.
    #[track_caller]
    pub fn wait(self) -> Fragment<S, Accumulator> {
        self.wait_pending(0)
    }

    /// Waits until at most the `pending` latest groups are in flight, these not among them.
    #[track_caller]
    pub fn wait_pending(self, pending: u32) -> Fragment<S, Accumulator> {
        let ty = S::SHAPE.fragment_type(Operand::C);
        let attr = Attr::Count(pending);
        Fragment::of(build(|b| b.emit1(Opcode::WgmmaWait, attr, &[self.id], ty)))
    }
}

/// What the left factor of a [`wgmma`] is: a part of a tile, or a fragment.
pub trait LeftFactor<S: WgmmaAtom> {
    /// The operand, and how it lies if it is in shared memory.
    #[doc(hidden)]
    fn operand(&self) -> (Value, Option<ir::SmemLayout>);
}

impl<S: WgmmaAtom> LeftFactor<S> for Factor<S::Input> {
    #[track_caller]
    fn operand(&self) -> (Value, Option<ir::SmemLayout>) {
        if self.rows < 64 {
            fail(format!("a left factor of {} rows: wgmma takes 64", self.rows));
        }
        (as_read::<S>(self.address), Some(self.layout))
    }
}

impl<S: WgmmaAtom> LeftFactor<S> for Fragment<S, MatrixA> {
    fn operand(&self) -> (Value, Option<ir::SmemLayout>) {
        (self.value(), None)
    }
}

/// A factor's address as that of what the instruction reads: of f32 it may be less than there is.
#[track_caller]
fn as_read<S: WgmmaAtom>(address: Value) -> Value {
    if S::Input::TYPE == S::SHAPE.ab {
        return address;
    }
    let ty = Type::Ptr(Space::Shared, S::SHAPE.ab);
    build(|b| b.emit1(Opcode::PtrCast, Attr::None, &[address], ty))
}

/// Begins `a * b + sums`, or `a * b` where `accumulate` is false, on the warpgroup. `a` has 64 rows
/// (64 columns if it lies along m), `b` as many as the instruction has columns; each reaches 32
/// bytes along k.
#[track_caller]
pub fn wgmma<S: WgmmaAtom>(
    a: impl LeftFactor<S>,
    b: Factor<S::Input>,
    sums: InFlight<S>,
    accumulate: impl IntoVal<bool>,
) -> InFlight<S> {
    if !exists(S::SHAPE) {
        fail(format!("{} is no shape of wgmma", S::SHAPE.name()));
    }
    if b.rows < S::N {
        fail(format!("a right factor of {}: wgmma takes {}", b.rows, S::N));
    }
    let (left, layout) = a.operand();
    let operands = [left, as_read::<S>(b.address), sums.id, accumulate.into_val().id];
    let attr = Attr::Wgmma(ir::Wgmma { shape: S::SHAPE, a: layout, b: b.layout });
    let ty = S::SHAPE.fragment_type(Operand::C);
    InFlight::of(build(|b| b.emit1(Opcode::Wgmma, attr, &operands, ty)))
}

/// Orders the warpgroup's accesses of registers before the products that follow: before the first
/// one, and after each wait.
#[track_caller]
pub fn wgmma_fence() {
    build(|b| b.emit(Opcode::WgmmaFence, Attr::None, &[], &[]));
}

/// Closes a group of products.
#[track_caller]
pub fn wgmma_commit() {
    build(|b| b.emit(Opcode::WgmmaCommit, Attr::None, &[], &[]));
}

/// Waits until at most the `pending` latest groups are in flight: what the others read may be
/// written again.
#[track_caller]
pub fn wgmma_wait(pending: u32) {
    build(|b| b.emit(Opcode::WgmmaWait, Attr::Count(pending), &[], &[]));
}

/// Sums of a product `U`, converted to the left factors of products `S`: threads hold them as they
/// hold those of a factor (PTX ISA, "Register Fragments": the layouts of A and D), so that they go
/// from one product to the next without leaving their registers.
///
/// Of 16-bit elements a thread has the same columns in both. Of 8-bit ones it has four neighbours of a
/// factor's columns, but of sums two, and two that are 8 further on. So the factor has its columns in
/// another order within each 16: column `4 q + 2 p + e` is column `8 p + 2 q + e` of the sums. A product adds up
/// over them in any order, if the right factor has its rows in the same, as
/// [`Tile::transpose_bytes`] leaves them.
pub struct SumsAsFactor<S: WgmmaAtom, U: WgmmaAtom> {
    id: Value,
    kind: PhantomData<(S, U)>,
}

one_leaf!([S: WgmmaAtom, U: WgmmaAtom] SumsAsFactor<S, U>: Self::TYPE);

impl<S: WgmmaAtom, U: WgmmaAtom> SumsAsFactor<S, U> {
    const TYPE: Type = U::SHAPE.fragment_type(Operand::C).with_elem(S::SHAPE.ab);

    /// The sums, each converted as by `as`, to the nearest.
    #[track_caller]
    pub fn new(sums: Fragment<U, Accumulator>) -> Self {
        // No closures, so that operations stand at the caller's line. One by one where neighbours make a pair:
        // as a vector at once the assembler keeps all sums until the last is converted, and runs out of registers.
        let (elem, by_one) = (Type::Scalar(S::SHAPE.ab), S::K == 16);
        let mut elements = Vec::new();
        for i in 0..sums.len() {
            let sum = sums.element(source(S::K, i)).id;
            elements.push(match by_one {
                true => build(|b| b.emit1(Opcode::Cast, Attr::None, &[sum], elem)),
                false => sum,
            });
        }
        let id = match by_one {
            true => build(|b| b.emit1(Opcode::VecMake, Attr::None, &elements, Self::TYPE)),
            false => {
                let wide = U::SHAPE.fragment_type(Operand::C);
                let wide = build(|b| b.emit1(Opcode::VecMake, Attr::None, &elements, wide));
                build(|b| b.emit1(Opcode::Cast, Attr::None, &[wide], Self::TYPE))
            }
        };
        SumsAsFactor { id, kind: PhantomData }
    }

    /// The factor that columns `first` on of the sums are, as many as a factor has.
    #[track_caller]
    pub fn columns(&self, first: usize) -> Fragment<S, MatrixA> {
        let end = first + S::K;
        if ![16, 32].contains(&S::K) || !first.is_multiple_of(S::K) || end > U::N {
            fail(format!("columns {first} to {end} of {} as a factor of {}", U::N, S::K));
        }
        let elem = Type::Scalar(S::SHAPE.ab);
        Fragment::from_elements(|i| {
            let lane = Attr::Lane((first / 2 + i) as u8);
            Val::from_id(build(|b| b.emit1(Opcode::VecExtract, lane, &[self.id], elem)))
        })
    }
}

/// Which of a thread's sums its element `i` of left factors of `k` columns is, side by side.
fn source(k: usize, i: usize) -> usize {
    match k {
        // Words are two of a row; the other row's follow.
        32 => i / 8 * 8 + i % 4 / 2 * 4 + i % 8 / 4 * 2 + i % 2,
        _ => i,
    }
}

impl<T: super::element::Stored + Num> Tile<T> {
    /// Stores columns of sums, as many as the tile has, from column `first` of the sums on: `row` of
    /// the tile is where the first of the warpgroup's 64 rows goes. What is stored of a sum is
    /// `convert(row, column, sum)`, row and column counted in the sums.
    ///
    /// Elements of 16 bits are stored by `stmatrix` (PTX ISA), others two by two.
    #[track_caller]
    pub fn store_sums<S: WgmmaAtom>(
        &self,
        sums: Fragment<S, Accumulator>,
        row: impl KernelIndex,
        first: usize,
        mut convert: impl FnMut(Val<usize>, Val<usize>, Val<S::Sum>) -> Val<T>,
    ) {
        let end = first + self.columns();
        if end > S::N || !first.is_multiple_of(16) || !self.columns().is_multiple_of(16) {
            fail(format!(
                "columns {first} to {end} of {} of sums: they begin and end at multiples of 16",
                S::N
            ));
        }
        let row = row.value();
        let (last, rows) = (row + 63, Val::<usize>::from(self.rows()));
        build(|b| b.check_bounds(last.id, rows.id));
        for columns in 0..self.columns() / 16 {
            let from = first / 2 + 8 * columns;
            // No closures, so that operations stand at the caller's line.
            let mut elements = Vec::new();
            for i in from..from + 8 {
                let row = Fragment::<S, Accumulator>::row(i);
                let column = Fragment::<S, Accumulator>::column(i);
                elements.push(convert(row, column, sums.element(i)));
            }
            if T::TYPE.size() == 2 {
                let at = |lane: u32| (lane / 32 * 16 + lane % 16, lane % 32 / 16 * 8);
                self.store_matrices((row, 16 * columns), at, &elements, false);
                continue;
            }
            // Two that follow each other along the row at once.
            for (pair, at) in elements.chunks(2).zip((from..).step_by(2)) {
                let own_row = Fragment::<S, Accumulator>::row(at);
                let column = Fragment::<S, Accumulator>::column(at);
                let address = self.address(row + own_row, column - first);
                self.store_pair(address, [pair[0], pair[1]]);
            }
        }
    }

    #[track_caller]
    fn store_pair(&self, address: Value, pair: [Val<T>; 2]) {
        let align = 2 * T::TYPE.size();
        let attr = Attr::Mem { align, cache: CacheHint::Normal };
        build(|b| {
            let ty = Type::Vector(T::TYPE, 2);
            let pair = b.emit1(Opcode::VecMake, Attr::None, &pair.map(|x| x.id), ty);
            b.emit(Opcode::Store, attr, &[address, pair], &[]);
        });
    }

    /// Stores sums with their rows along the tile's columns, 64 of them, and their columns along its rows,
    /// as many as it has. What is stored of a sum is `convert(row, column, sum)`, row and column counted
    /// in the sums. See [`store_sums`](Tile::store_sums).
    #[track_caller]
    pub fn store_sums_transposed<S: WgmmaAtom>(
        &self,
        sums: Fragment<S, Accumulator>,
        mut convert: impl FnMut(Val<usize>, Val<usize>, Val<S::Sum>) -> Val<T>,
    ) {
        let (rows, columns) = (self.rows(), self.columns());
        if columns != 64 || rows != S::N || !rows.is_multiple_of(16) {
            fail(format!(
                "64 x {} sums into a tile of {rows} x {columns}, transposed: it has 64 columns, and as \
                 many rows as there are columns of sums, a multiple of 16",
                S::N
            ));
        }
        for columns in 0..S::N / 16 {
            // No closures, so that operations stand at the caller's line.
            let mut elements = Vec::new();
            for i in 8 * columns..8 * columns + 8 {
                let row = Fragment::<S, Accumulator>::row(i);
                let column = Fragment::<S, Accumulator>::column(i);
                elements.push(convert(row, column, sums.element(i)));
            }
            if T::TYPE.size() == 2 {
                let at =
                    |lane: u32| (lane % 32 / 16 * 8 + lane % 8, lane / 32 * 16 + lane % 16 / 8 * 8);
                self.store_matrices(((16 * columns).into(), 0), at, &elements, true);
                continue;
            }
            for (i, element) in (8 * columns..).zip(elements) {
                let row = Fragment::<S, Accumulator>::row(i);
                let column = Fragment::<S, Accumulator>::column(i);
                let address = self.address(column, row);
                build(|b| b.store(address, element.id));
            }
        }
    }

    /// Four matrices at once: rows 0 to 7 and 8 to 15 of the warp's 16, of two times 8 columns. `at` is
    /// where in the tile the row (the column, if transposed) begins that a thread names.
    #[track_caller]
    fn store_matrices(
        &self,
        (row, column): (Val<usize>, usize),
        at: impl Fn(u32) -> (u32, u32),
        elements: &[Val<T>],
        trans: bool,
    ) {
        let own_row = row + super::thread::lane_linear(128, |lane| at(lane).0);
        let own_column = super::thread::lane_linear(128, |lane| at(lane).1);
        let elements: Vec<Value> = elements.iter().map(|x| x.id).collect();
        let ty = Type::Vector(T::TYPE, 8);
        let matrices = build(|b| b.emit1(Opcode::VecMake, Attr::None, &elements, ty));
        let address = self.address(own_row, own_column + column);
        let attr = Attr::Ldmatrix { count: 4, trans };
        build(|b| b.emit(Opcode::Stmatrix, attr, &[address, matrices], &[]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where sums go is where the factor has them, in the order within 16 columns that is announced.
    #[test]
    fn sums_are_factors_where_they_are() {
        for (ab, k) in [(Scalar::F16, 16), (Scalar::E4M3, 32)] {
            let (sums, factor) = (ir::shape(64, ab, Scalar::F32), ir::shape(8, ab, Scalar::F32));
            let each = factor.fragment_len(Operand::A);
            for (thread, i) in (0..ir::THREADS).flat_map(|t| (0..32).map(move |i| (t, i))) {
                let from = source(k, i as usize) as u32;
                let (row, column) = sums.element(Operand::C, thread, from);
                let (to_row, to) = factor.element(Operand::A, thread, i % each);
                let to = to + i / each * k as u32;
                let meant = match k {
                    32 => to / 16 * 16 + to % 4 / 2 * 8 + to % 16 / 4 * 2 + to % 2,
                    _ => to,
                };
                assert_eq!((row, column), (to_row, meant), "{ab} {thread} {i}");
            }
        }
    }
}
