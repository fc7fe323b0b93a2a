//! Tensor memory and the products in it (PTX ISA, "TensorCore 5th Generation Family Instructions";
//! sm_100a).
//!
//! A block [takes columns](tensor_memory) of a memory of its tensor core's own: 128 lanes of up to 512
//! columns of 32 bits. One thread begins products, whose sums lie there; a barrier tells when they are over
//! ([`tensor_commit`]), and behind a [`tensor_fence_after`] each of four warps [reads](TensorSums::read) its 32
//! rows. Factors in shared memory are tiles, as those of `wgmma`. Factors may be scaled in blocks
//! ([`tensor_mma_scaled`]: MXFP8, MXFP4, NVFP4).
//!
//! Two blocks of a cluster whose ranks differ in the last bit, a *pair*, [multiply
//! together](tensor_memory_of_pair): 256 rows, of which each has 128, by columns of which each loads half.
//! One thread of either begins products for both, and commits them to a barrier of both
//! ([`TensorMemory::commit_to_pair`]). All types of a pair's tensor memory say so by their last parameter, 2,
//! so that nothing of one block is mixed with them.
//!
//! ```
//! use kernelsmith::prelude::*;
//!
//! /// 128 x 64 sums over 64 columns of two tiles, row by row.
//! #[device]
//! fn product(a: Tile<bf16>, b: Tile<bf16>, done: Mbarrier, c: &mut [f32]) {
//!     let memory = tensor_memory(64);
//!     let sums = memory.sums::<bf16, 64>(0);
//!     if thread_idx_x() == 0 {
//!         for k in unroll(0..4) {
//!             tensor_mma(sums, a.k_major(0, 16 * k), b.k_major(0, 16 * k), k > 0);
//!         }
//!         tensor_commit(done);
//!     }
//!     done.wait(0);
//!     tensor_fence_after();
//!     let row = sums.read::<64>(0);
//!     for j in unroll(0..64) {
//!         c[64 * thread_idx_x() + j] = row[j];
//!     }
//!     memory.free();
//! }
//! ```

use std::marker::PhantomData;

use half::{bf16, f16};
use kernelsmith_ir::tcgen05::copy::{CopyShape, TensorCopy};
use kernelsmith_ir::tcgen05::group::Group;
use kernelsmith_ir::tcgen05::scales::{ScaleType, ScaledKind, Scales};
use kernelsmith_ir::tcgen05::{COLUMNS, ROWS, Tcgen05};
use kernelsmith_ir::tensor_map::Swizzle;
use kernelsmith_ir::wgmma::SmemLayout;
use kernelsmith_ir::{Attr, Opcode, Scalar, Space, Type, Value};
use kernelsmith_runtime::{e4m3, e5m2};

use super::cast::{bitcast, cast};
use super::cluster::{cluster_rank, cluster_sync};
use super::compare::eq;
use super::control::Condition;
use super::element::{Element, Num, Stored};
use super::index::Memory;
use super::mbarrier::Mbarrier;
use super::shared::{Shared, shared_as};
use super::stage::{build, fail};
use super::swizzled::Factor;
use super::thread::{barrier, warp_id};
use super::val::{IntoVal, Val};
use super::wgmma::Tf32;

/// Names the products of 4-bit floats, two to a byte, the first in its lower half: a sign, two bits of an
/// exponent, one of a mantissa. They are scaled in blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct E2m1;

mod sealed {
    pub trait Sealed {}
}

/// Types of the factors of products in tensor memory. Sealed.
pub trait TensorFactor: sealed::Sealed + Copy {
    /// The type of the elements in shared memory.
    type Input: Stored;
    /// The type of a sum.
    type Sum: Num;
    #[doc(hidden)]
    const TYPES: (Scalar, Scalar);
}

macro_rules! factors {
    ($($ab:ty: $input:ty, $scalar:ident -> $cd:ty, $sum:ident;)*) => {$(
        impl sealed::Sealed for $ab {}

        impl TensorFactor for $ab {
            type Input = $input;
            type Sum = $cd;
            const TYPES: (Scalar, Scalar) = (Scalar::$scalar, Scalar::$sum);
        }
    )*};
}

factors! {
    f16: f16, F16 -> f32, F32;
    bf16: bf16, BF16 -> f32, F32;
    Tf32: f32, TF32 -> f32, F32;
    e4m3: e4m3, E4M3 -> f32, F32;
    e5m2: e5m2, E5M2 -> f32, F32;
    i8: i8, I8 -> i32, I32;
    u8: u8, U8 -> i32, I32;
    E2m1: u8, U8 -> f32, F32;
}

/// Columns of tensor memory that the block has taken, or each block of a pair, where `BLOCKS` is 2.
#[must_use = "columns are given back by `free`"]
pub struct TensorMemory<const BLOCKS: usize = 1> {
    address: Val<u32>,
    columns: usize,
}

/// The group that instructions of so many blocks have. There is memory of one block and of two only.
const fn group(blocks: usize) -> Group {
    if blocks == 2 { Group::Pair } else { Group::One }
}

/// Takes `columns` of tensor memory, a power of two from 32 to 512, or waits until another block of the
/// multiprocessor has given some back. All threads of the block come here together, once in a kernel.
#[track_caller]
pub fn tensor_memory(columns: usize) -> TensorMemory {
    take(columns)
}

/// Takes `columns` of the tensor memory of both blocks of a pair, the same ones. All threads of the cluster
/// come here together, once in a kernel; the cluster has an even number of blocks:
/// `#[kernel(block = 128, cluster = 2)]`. Barriers that were made before can be used behind it.
///
/// ```
/// use kernelsmith::prelude::*;
///
/// /// 256 x 64 sums over 64 columns; each block has 128 rows of `a`, 32 of the 64 of `b`, and writes 128
/// /// rows of `c`.
/// #[device]
/// fn product(a: Tile<bf16>, b: Tile<bf16>, loaded: Mbarrier, done: Mbarrier, c: &mut [f32]) {
///     // Comes to `loaded` of the first block when this block's tiles are there.
///     if thread_idx_x() == 0 {
///         loaded.arrive_at(0);
///     }
///     let memory = tensor_memory_of_pair(64);
///     let sums = memory.sums::<bf16, 64>(0);
///     if cluster_rank() == 0 && thread_idx_x() == 0 {
///         loaded.wait(0);
///         for k in unroll(0..4) {
///             tensor_mma(sums, a.k_major(0, 16 * k), b.k_major(0, 16 * k), k > 0);
///         }
///         memory.commit_to_pair(done);
///     }
///     done.wait(0);
///     tensor_fence_after();
///     let row = sums.read::<64>(0);
///     for j in unroll(0..64) {
///         c[64 * (128 * cluster_rank() + thread_idx_x()) + j] = row[j];
///     }
///     memory.free();
/// }
/// ```
#[track_caller]
pub fn tensor_memory_of_pair(columns: usize) -> TensorMemory<2> {
    // The peer is there, and goes on being (PTX ISA, `tcgen05.alloc`).
    cluster_sync();
    take(columns)
}

#[track_caller]
fn take<const BLOCKS: usize>(columns: usize) -> TensorMemory<BLOCKS> {
    if !columns.is_power_of_two() || !(32..=COLUMNS as usize).contains(&columns) {
        fail(format!("{columns} columns of tensor memory: a power of two from 32 to {COLUMNS}"));
    }
    let place = shared_as::<u32>("tensor_memory", 1, 4).slot_at(0usize).address();
    let group = group(BLOCKS);
    let all = Attr::Columns { count: columns as u32, group };
    let takes = (Opcode::Tcgen05Alloc, all, Some(place));
    by_first_warp([takes, (Opcode::Tcgen05Yield, Attr::Group(group), None)]);
    barrier();
    let address = Val::from_id(build(|b| b.load(place, Type::U32)));
    TensorMemory { address, columns }
}

impl<const BLOCKS: usize> TensorMemory<BLOCKS> {
    /// The address of columns that there are, from `first` on.
    #[track_caller]
    fn column(&self, first: usize, count: usize) -> Val<u32> {
        let (end, all) = (first.saturating_add(count), self.columns);
        if end > all {
            fail(format!("columns {first} to {end} of {all} of tensor memory"));
        }
        self.address + first as u32
    }

    /// The columns from `first` on as 128 rows of `N` sums of products of `T`, in each block.
    #[track_caller]
    pub fn sums<T: TensorFactor, const N: usize>(&self, first: usize) -> TensorSums<T, N, BLOCKS> {
        TensorSums { address: self.column(first, N), ty: PhantomData }
    }

    /// The columns from `first` on as the scales of `rows` rows of a factor: four columns for each 128 rows.
    /// Of a pair, each block has those of its own 128 rows of the left factor, and of all of the right one.
    #[track_caller]
    pub fn scales(&self, first: usize, rows: usize) -> TensorScales<BLOCKS> {
        let address = self.column(first, 4 * rows.div_ceil(CHUNK_ROWS));
        TensorScales { address, rows, byte: 0 }
    }

    /// Comes to the barrier of this block once all products and copies to tensor memory are over that this
    /// thread has begun, in both blocks of a pair.
    #[track_caller]
    pub fn commit(&self, barrier: Mbarrier) {
        commit(group(BLOCKS), barrier, None);
    }

    /// Gives the columns back, once all threads of the block, or of a pair's cluster, have come here: each has
    /// waited for what it began.
    #[track_caller]
    pub fn free(self) {
        emit(Opcode::Tcgen05FenceBefore, &[]);
        match group(BLOCKS) {
            Group::One => barrier(),
            Group::Pair => cluster_sync(),
        }
        let attr = Attr::Columns { count: self.columns as u32, group: group(BLOCKS) };
        by_first_warp([(Opcode::Tcgen05Free, attr, Some(self.address.id))]);
    }
}

impl TensorMemory<2> {
    /// [`commit`](TensorMemory::commit) to the barriers of both blocks of the pair, at the same address.
    #[track_caller]
    pub fn commit_to_pair(&self, barrier: Mbarrier) {
        let rank: Val<u32> = cast(cluster_rank());
        let blocks = Val::<u32>::from(0b11u32) << (rank & !1u32);
        commit(Group::Pair, barrier, Some(blocks));
    }
}

#[track_caller]
fn commit(group: Group, barrier: Mbarrier, blocks: Option<Val<u32>>) {
    let attr = Attr::Commit { group, multicast: blocks.is_some() };
    let operands: Vec<Value> =
        [barrier.address()].into_iter().chain(blocks.map(|blocks| blocks.id)).collect();
    build(|b| b.emit(Opcode::Tcgen05Commit, attr, &operands, &[]));
}

/// Operations that the block's first warp does. No closure, so that they stand at the caller's line.
#[track_caller]
fn by_first_warp<const N: usize>(operations: [(Opcode, Attr, Option<Value>); N]) {
    let branch = eq(warp_id(), 0usize).begin();
    if branch.then() {
        for (op, attr, operand) in operations {
            build(|b| b.emit(op, attr, operand.as_slice(), &[]));
        }
    }
    branch.otherwise();
    branch.end();
}

#[track_caller]
fn emit(op: Opcode, operands: &[Value]) {
    build(|b| b.emit(op, Attr::None, operands, &[]));
}

/// 128 rows of `N` sums in tensor memory, in each block, those of products of `T`.
#[derive(Clone, Copy)]
pub struct TensorSums<T: TensorFactor, const N: usize, const BLOCKS: usize = 1> {
    address: Val<u32>,
    ty: PhantomData<T>,
}

impl<T: TensorFactor, const N: usize, const BLOCKS: usize> TensorSums<T, N, BLOCKS> {
    /// `C` sums, a power of two up to 128, from column `first` on: thread `i` of the warpgroup gets those of
    /// row `i` of its block. All lanes of the warp come here together, behind a [`tensor_fence_after`].
    #[track_caller]
    pub fn read<const C: usize>(&self, first: usize) -> [Val<T::Sum>; C] {
        let end = first.saturating_add(C);
        if !C.is_power_of_two() || !(2..=128).contains(&C) || end > N {
            fail(format!(
                "columns {first} to {end} of {N} sums: a power of two from 2 to 128 of them"
            ));
        }
        let warp: Val<u32> = cast(warp_id());
        // A warp reaches the 32 lanes of its number in its warpgroup; lanes are the upper half of an address.
        let address = self.address + ((warp & 3) << 21) + first as u32;
        let ty = Type::Vector(Scalar::U32, C as u8);
        let words = build(|b| {
            let words = b.emit1(Opcode::Tcgen05Load, Attr::None, &[address.id], ty);
            b.emit1(Opcode::Tcgen05WaitLoad, Attr::None, &[words], ty)
        });
        // No closure, so that operations stand at the caller's line.
        let mut sums = Vec::with_capacity(C);
        for i in 0..C {
            let lane = Attr::Lane(i as u8);
            let word = build(|b| b.emit1(Opcode::VecExtract, lane, &[words], Type::U32));
            sums.push(bitcast::<u32, T::Sum>(Val::from_id(word)));
        }
        sums.try_into().unwrap_or_else(|_| unreachable!("as many as were read"))
    }
}

/// Rows whose scales lie together.
const CHUNK_ROWS: usize = 128;

/// Bytes of those scales: four for each row.
const CHUNK_BYTES: usize = 512;

/// Scales of a factor's rows in tensor memory: four bytes for each row.
#[derive(Clone, Copy)]
pub struct TensorScales<const BLOCKS: usize = 1> {
    address: Val<u32>,
    rows: usize,
    byte: u32,
}

impl<const BLOCKS: usize> TensorScales<BLOCKS> {
    /// Begins to copy the scales from shared memory, from the first element on. Byte `j` of row `r` is at
    /// `512 * (r / 128) + 16 * (r % 32) + 4 * (r % 128 / 32) + j`: scales of 128 rows and 4 blocks lie
    /// together, as cuBLASLt has them ("1D Block Scaling Factors Layout"). One thread does this; its
    /// products that follow see them. Where threads wrote them, an
    /// [`async_fence`](super::swizzled::async_fence) and a barrier come before. Each block of a pair copies
    /// from its own shared memory.
    #[track_caller]
    pub fn copy(&self, from: &Shared<u8>) {
        let chunks = self.rows.div_ceil(CHUNK_ROWS);
        let last = Val::<usize>::from(chunks * CHUNK_BYTES - 1);
        build(|b| b.check_bounds(last.id, from.len().id));
        // Rows of 16 bytes, 8 of them in 128 bytes.
        let layout =
            SmemLayout { swizzle: Swizzle::None, mn_major: false, leading: 0, stride: 128 };
        let (group, shape) = (group(BLOCKS), CopyShape::Rows32);
        let attr = Attr::Tcgen05Copy(TensorCopy { group, shape, layout });
        for chunk in 0..chunks {
            let to = self.address + 4 * chunk as u32;
            let first = Val::<usize>::from(chunk * CHUNK_BYTES);
            build(|b| {
                let from = b.ptr_add(from.base(), first.id);
                b.emit(Opcode::Tcgen05Copy, attr.clone(), &[to.id, from], &[])
            });
        }
    }

    /// The same, of which a product takes what begins at this byte of each row's four.
    pub fn byte(self, byte: usize) -> TensorScales<BLOCKS> {
        TensorScales { byte: byte as u32, ..self }
    }
}

/// Formats of factors with scales, along 32 bytes of elements (OCP Microscaling Formats; PTX ISA, "Block
/// Scaling for tcgen05.mma.sync").
///
/// | | elements | scales | scales of a row | begin at byte |
/// |---|---|---|---|---|
/// | `Mxfp8` | `e4m3`, `e5m2` | powers of two, for 32 elements | 1 | 0, 1, 2, 3 |
/// | `Mxfp4` | [`E2m1`] | powers of two, for 32 elements | 2 | 0, 2 |
/// | `Mxfp4By16` | [`E2m1`] | powers of two, for 16 elements | 4 | 0 |
/// | `Nvfp4` | [`E2m1`] | `e4m3` without sign, for 16 elements | 4 | 0 |
///
/// A power of two is its exponent and 127 in a byte.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ScaleFormat {
    /// 8-bit floats.
    Mxfp8,
    /// 4-bit floats.
    Mxfp4,
    /// 4-bit floats with more scales.
    Mxfp4By16,
    /// 4-bit floats with scales that have a mantissa.
    Nvfp4,
}

impl ScaleFormat {
    /// Products along k that the four bytes of a row serve.
    pub fn products(self) -> usize {
        4 / self.scales(0, 0).count as usize
    }

    fn scales(self, a_byte: u32, b_byte: u32) -> Scales {
        let (kind, ty, count) = match self {
            ScaleFormat::Mxfp8 => (ScaledKind::Mxf8f6f4, ScaleType::Ue8m0, 1),
            ScaleFormat::Mxfp4 => (ScaledKind::Mxf4, ScaleType::Ue8m0, 2),
            ScaleFormat::Mxfp4By16 => (ScaledKind::Mxf4Nvf4, ScaleType::Ue8m0, 4),
            ScaleFormat::Nvfp4 => (ScaledKind::Mxf4Nvf4, ScaleType::Ue4m3, 4),
        };
        Scales { kind, ty, count, a_byte, b_byte }
    }
}

/// Begins `sums = a * b + sums`, or `a * b` where `accumulate` is false, for one thread. `a` has 128 rows, `b`
/// as many as there are columns of sums, a multiple of 16; each reaches 32 bytes along k. Products with the
/// same sums follow each other.
///
/// Of a pair, each block has 128 rows of `a` and half of those of `b` at the same addresses of its shared
/// memory. The thread has waited for both: at a barrier that counts what both load
/// ([`Tile::load_to_pair`](super::swizzled::Tile::load_to_pair)), or that both come to when it is there.
#[track_caller]
pub fn tensor_mma<T: TensorFactor, const N: usize, const BLOCKS: usize>(
    sums: TensorSums<T, N, BLOCKS>,
    a: Factor<T::Input>,
    b: Factor<T::Input>,
    accumulate: impl IntoVal<bool>,
) {
    begin(sums, [a, b], None, accumulate.into_val());
}

/// [`tensor_mma`] of factors with scales, those of `a` and of `b`: `b` has a multiple of 8 rows in each block.
#[track_caller]
pub fn tensor_mma_scaled<T: TensorFactor, const N: usize, const BLOCKS: usize>(
    sums: TensorSums<T, N, BLOCKS>,
    a: Factor<T::Input>,
    b: Factor<T::Input>,
    format: ScaleFormat,
    scales: [TensorScales<BLOCKS>; 2],
    accumulate: impl IntoVal<bool>,
) {
    for (scales, rows) in scales.iter().zip([ROWS as usize, N]) {
        if scales.rows < rows {
            fail(format!("scales of {} rows for a factor of {rows}", scales.rows));
        }
    }
    begin(sums, [a, b], Some((format, scales)), accumulate.into_val());
}

#[track_caller]
fn begin<T: TensorFactor, const N: usize, const BLOCKS: usize>(
    sums: TensorSums<T, N, BLOCKS>,
    [a, b]: [Factor<T::Input>; 2],
    scaled: Option<(ScaleFormat, [TensorScales<BLOCKS>; 2])>,
    accumulate: Val<bool>,
) {
    let (ab, cd) = T::TYPES;
    let (group, m, n) = (group(BLOCKS), ROWS * BLOCKS as u32, N as u32);
    let scales = scaled.map(|(format, [a, b])| format.scales(a.byte, b.byte));
    let product = Tcgen05 { group, m, n, ab, cd, a: Some(a.layout), b: b.layout, scales };
    for (factor, rows) in [(&a, product.rows()), (&b, product.b_rows())] {
        if factor.rows < rows as usize {
            let each = if group == Group::Pair { " in each block" } else { "" };
            fail(format!("a factor of {} rows: the product takes {rows}{each}", factor.rows));
        }
    }
    if let Some(fault) = product.fault() {
        fail(fault);
    }
    // Of f32 less is read than there is.
    let read = Type::Ptr(Space::Shared, ab);
    let mut operands = vec![sums.address.id];
    for address in [a.address, b.address] {
        operands.push(match T::Input::TYPE == ab {
            true => address,
            false => build(|b| b.emit1(Opcode::PtrCast, Attr::None, &[address], read)),
        });
    }
    operands.push(accumulate.id);
    operands.extend(scaled.iter().flat_map(|(_, scales)| scales).map(|s| s.address.id));
    build(|b| b.emit(Opcode::Tcgen05Mma, Attr::Tcgen05(product), &operands, &[]));
}

/// Comes to the barrier once all products and copies to tensor memory are over that this thread has begun,
/// those of one block. Those of a pair are committed by [`TensorMemory::commit_to_pair`].
#[track_caller]
pub fn tensor_commit(barrier: Mbarrier) {
    commit(Group::One, barrier, None);
}

/// Orders this thread's accesses of tensor memory before what lets other threads know of them.
#[track_caller]
pub fn tensor_fence_before() {
    emit(Opcode::Tcgen05FenceBefore, &[]);
}

/// Orders this thread's accesses of tensor memory behind what it has waited for.
#[track_caller]
pub fn tensor_fence_after() {
    emit(Opcode::Tcgen05FenceAfter, &[]);
}
