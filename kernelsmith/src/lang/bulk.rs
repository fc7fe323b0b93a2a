//! Copies by the engine (TMA): boxes of tensors between global and shared memory, begun by one
//! thread, going on while all others compute (PTX ISA, "Data Movement and Conversion Instructions:
//! Tensor copy"; sm_90 and newer).
//!
//! A load tells a [barrier in shared memory](super::mbarrier) of the bytes that it has brought; who
//! waits for the barrier may read them. A store reads shared memory until [`bulk_wait_read`], and
//! what it wrote is there after [`bulk_wait`]; both count the groups that [`bulk_commit`] closes.

use kernelsmith_ir::attr::{BoxMode, Eviction, ReduceOp};
use kernelsmith_ir::{Attr, Opcode, Value};

use super::element::{Num, Stored};
use super::index::checked;
use super::mbarrier::Mbarrier;
use super::memory::Slice;
use super::shared::Shared;
use super::stage::{build, fail};
use super::swizzled::Tile;
use super::tensor_map::{TensorMap, TensorTile, TensorTileMut};
use super::val::Val;

/// How a copy is done.
#[derive(Clone, Copy)]
pub(super) struct How {
    pub eviction: Eviction,
    pub reduce: Option<ReduceOp>,
    pub blocks: Option<Value>,
    pub mode: BoxMode,
}

impl How {
    pub(super) const PLAIN: How =
        How { eviction: Eviction::Normal, reduce: None, blocks: None, mode: BoxMode::Tile };

    pub(super) fn attr(self) -> Attr {
        let How { eviction, reduce, blocks, mode } = self;
        Attr::Bulk { multicast: blocks.is_some(), reduce, eviction, mode }
    }
}

/// Where a box begins: an index along each axis as the instruction takes it, the innermost first.
#[track_caller]
pub(super) fn coordinates<const R: usize>(at: [Val<usize>; R]) -> Vec<Val<i32>> {
    at.into_iter().rev().map(super::cast::cast).collect()
}

impl<T: Stored> Tile<T> {
    /// Fills the tile from a matrix, or one of several, from `at` on; what lies outside of it is 0.
    /// `barrier` counts the tile's bytes.
    ///
    /// The box of the map is as wide as a panel of the tile, and as high, or a part of that: the
    /// tile takes as many copies as there are boxes in it. A box may also have its rows along several
    /// axes, as many as the tile has, of which the last one changes fastest. One thread does this.
    #[track_caller]
    pub fn load<const R: usize>(
        &self,
        map: TensorTile<T, R>,
        at: [Val<usize>; R],
        barrier: Mbarrier,
    ) {
        self.load_how(map, at, barrier.address(), How::PLAIN);
    }

    /// [`load`](Tile::load) of what others will read too, or nobody again: how long the L2 cache
    /// keeps it.
    #[track_caller]
    pub fn load_keeping<const R: usize>(
        &self,
        map: TensorTile<T, R>,
        at: [Val<usize>; R],
        barrier: Mbarrier,
        eviction: Eviction,
    ) {
        self.load_how(map, at, barrier.address(), How { eviction, ..How::PLAIN });
    }

    /// [`load`](Tile::load) into the tiles at this place of several blocks of the cluster: bit `i`
    /// of `blocks` is for the block of rank `i`. The barrier at this place of each of them counts
    /// the bytes.
    #[track_caller]
    pub fn load_multicast<const R: usize>(
        &self,
        map: TensorTile<T, R>,
        at: [Val<usize>; R],
        barrier: Mbarrier,
        blocks: Val<u32>,
    ) {
        self.load_how(map, at, barrier.address(), How { blocks: Some(blocks.id), ..How::PLAIN });
    }

    /// [`load`](Tile::load), counted by the barrier at this address in the first block of the pair, whose rank
    /// in the cluster is even: what a thread there waits for that [multiplies](super::tensor_memory) by the
    /// tiles of both (PTX ISA, `cp.async.bulk.tensor`, `.cta_group::2`; sm_100a).
    #[track_caller]
    pub fn load_to_pair<const R: usize>(
        &self,
        map: TensorTile<T, R>,
        at: [Val<usize>; R],
        barrier: Mbarrier,
    ) {
        let rank: Val<u32> = super::cast::cast(super::cluster::cluster_rank());
        self.load_how(map, at, barrier.address_at(rank & !1u32), How::PLAIN);
    }

    #[track_caller]
    fn load_how<const R: usize>(
        &self,
        map: TensorTile<T, R>,
        at: [Val<usize>; R],
        barrier: Value,
        how: How,
    ) {
        for (address, at) in self.boxes(map, at) {
            let mut operands = vec![address, map.map(), barrier];
            operands.extend(coordinates(at).iter().map(|c| c.id));
            operands.extend(how.blocks);
            build(|b| b.emit(Opcode::TmaLoad, how.attr(), &operands, &[]));
        }
    }

    /// Copies the tile to a matrix, or one of several, from `at` on; what lies outside of it is left
    /// out. One thread does this, behind an [`async_fence`](super::swizzled::async_fence) of those
    /// who wrote the tile and a barrier.
    #[track_caller]
    pub fn store<const R: usize>(&self, map: TensorTileMut<T, R>, at: [Val<usize>; R]) {
        self.store_how(*map, at, How::PLAIN);
    }

    #[track_caller]
    fn store_how<const R: usize>(&self, map: TensorTile<T, R>, at: [Val<usize>; R], how: How) {
        for (address, at) in self.boxes(map, at) {
            let mut operands = vec![map.map(), address];
            operands.extend(coordinates(at).iter().map(|c| c.id));
            build(|b| b.emit(Opcode::TmaStore, how.attr(), &operands, &[]));
        }
    }

    /// The boxes that the tile is made of: where each lies in shared memory and in the tensor.
    #[track_caller]
    fn boxes<const R: usize>(
        &self,
        map: TensorTile<T, R>,
        at: [Val<usize>; R],
    ) -> Vec<(Value, [Val<usize>; R])> {
        let (rows, columns, wide) = (self.rows(), self.columns(), self.wide());
        let (height, width) = match map.shape()[..] {
            [ref outer @ .., height, width] if outer.iter().all(|&n| n == 1) => (height, width),
            // Rows along several axes follow each other as those along one do.
            [ref down @ .., width] if down.iter().product::<usize>() == rows => (rows, width),
            _ => fail(format!("a tile of {rows} x {columns} and boxes of {:?}", map.shape())),
        };
        let whole = rows.is_multiple_of(height) && (height.is_multiple_of(8) || height == rows);
        if width != wide || map.swizzle() != self.swizzle() || !whole {
            let (own, other) = (self.swizzle(), map.swizzle());
            fail(format!(
                "a tile of {rows} x {columns} with {own:?} cannot be made of boxes of {height} x \
                 {width} with {other:?}: boxes are {wide} wide, swizzled alike, and a part of the \
                 tile's rows high"
            ));
        }
        let mut boxes = Vec::new();
        for panel in 0..columns / width {
            for part in 0..rows / height {
                let first = Val::<usize>::from(part * height * width);
                let panel_base = self.panel(panel);
                let address = build(|b| b.ptr_add(panel_base, first.id));
                let mut at = at;
                at[R - 2] = at[R - 2] + part * height;
                at[R - 1] = at[R - 1] + panel * width;
                boxes.push((address, at));
            }
        }
        boxes
    }
}

impl<T: Num> Tile<T> {
    /// Adds the tile to a matrix, element by element, each as one access; otherwise as
    /// [`store`](Tile::store). In which order tiles are added is not specified.
    #[track_caller]
    pub fn store_add<const R: usize>(&self, map: TensorTileMut<T, R>, at: [Val<usize>; R]) {
        let elem = T::TYPE;
        if elem.is_int() && elem.size() < 4 {
            fail(format!("copies add no {elem}: integers have 32 or 64 bits"));
        }
        self.store_how(*map, at, How { reduce: Some(ReduceOp::Add), ..How::PLAIN });
    }
}

impl<T: Stored, const R: usize> TensorMap<T, R> {
    /// Brings the description of the tensor closer, before the first copy. One thread does this
    /// (PTX ISA, `prefetch.tensormap`).
    #[track_caller]
    pub fn prefetch(&self) {
        let map = self.value();
        build(|b| b.emit(Opcode::TmaPrefetch, Attr::None, &[map], &[]));
    }
}

impl<T: Stored, const R: usize> TensorTile<T, R> {
    /// Begins to bring the box at `at` into the L2 cache, for a load that comes later. One thread does
    /// this (PTX ISA, `cp.async.bulk.prefetch.tensor`).
    #[track_caller]
    pub fn fetch(&self, at: [Val<usize>; R]) {
        self.fetch_keeping(at, Eviction::Normal);
    }

    /// [`fetch`](TensorTile::fetch), and how long the L2 cache keeps the box.
    #[track_caller]
    pub fn fetch_keeping(&self, at: [Val<usize>; R], eviction: Eviction) {
        let mut operands = vec![self.map()];
        operands.extend(coordinates(at).iter().map(|c| c.id));
        let how = How { eviction, ..How::PLAIN };
        build(|b| b.emit(Opcode::TmaFetch, how.attr(), &operands, &[]));
    }
}

impl<T: Stored> Slice<T> {
    /// Begins to bring `count` elements from `first` on into the L2 cache; checked. They take a multiple
    /// of 16 bytes, and begin at one. One thread does this (PTX ISA, `cp.async.bulk.prefetch`).
    #[track_caller]
    pub fn fetch(&self, first: Val<usize>, count: usize) {
        let bytes = bulk_bytes::<T>(count);
        checked(self, first + (count - 1));
        let from = checked(self, first).address();
        build(|b| b.emit(Opcode::BulkFetch, How::PLAIN.attr(), &[from, bytes.id], &[]));
    }
}

impl<T: Stored> Shared<T> {
    /// Begins to fill `count` elements from `at` on with those of `from` from `first` on; checked. They take a
    /// multiple of 16 bytes, and begin at one on both sides. `barrier` counts the bytes. One thread does this
    /// (PTX ISA, `cp.async.bulk`).
    #[track_caller]
    pub fn load_bulk(
        &self,
        at: Val<usize>,
        from: Slice<T>,
        first: Val<usize>,
        count: usize,
        barrier: Mbarrier,
    ) {
        let bytes = bulk_bytes::<T>(count);
        checked(self, at + (count - 1));
        checked(&from, first + (count - 1));
        let (to, from) = (checked(self, at).address(), checked(&from, first).address());
        let operands = [to, from, bytes.id, barrier.address()];
        build(|b| b.emit(Opcode::BulkLoad, How::PLAIN.attr(), &operands, &[]));
    }
}

/// The bytes of `count` elements, of which a copy takes a multiple of 16.
#[track_caller]
fn bulk_bytes<T: Stored>(count: usize) -> Val<u32> {
    let bytes = count * T::TYPE.size() as usize;
    if count == 0 || !bytes.is_multiple_of(16) || bytes >= 1 << 32 {
        fail(format!("{count} {} are no multiple of 16 bytes below 2^32", T::TYPE));
    }
    Val::from(bytes as u32)
}

/// Closes a group of this thread's stores.
#[track_caller]
pub fn bulk_commit() {
    build(|b| b.emit(Opcode::BulkCommit, Attr::None, &[], &[]));
}

/// Waits until at most the `pending` latest groups of this thread's stores are in flight.
#[track_caller]
pub fn bulk_wait(pending: u32) {
    build(|b| b.emit(Opcode::BulkWait, Attr::Count(pending), &[], &[]));
}

/// Waits until at most the `pending` latest groups of this thread's stores still read shared memory.
#[track_caller]
pub fn bulk_wait_read(pending: u32) {
    build(|b| b.emit(Opcode::BulkWaitRead, Attr::Count(pending), &[], &[]));
}
