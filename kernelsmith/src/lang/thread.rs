//! Who a thread is, and waiting for the others of its warp and block.

use kernelsmith_ir::attr::Dim;
use kernelsmith_ir::{Attr, Opcode, Scalar, Type};

use super::stage::{build, fail, target};
use super::val::Val;

/// An id as the `usize` that indices are.
#[track_caller]
fn id(op: Opcode, attr: Attr) -> Val<usize> {
    Val::from_id(build(|b| {
        let id = b.emit1(op, attr, &[], Type::U32);
        b.cast(id, Scalar::U64)
    }))
}

macro_rules! ids {
    ($($(#[$meta:meta])* $name:ident $op:ident $dim:ident;)*) => {$(
        $(#[$meta])*
        #[track_caller]
        pub fn $name() -> Val<usize> {
            id(Opcode::$op, Attr::Dim(Dim::$dim))
        }
    )*};
}

ids! {
    /// The thread's index in its block along x.
    thread_idx_x ThreadIdx X;
    /// The thread's index in its block along y.
    thread_idx_y ThreadIdx Y;
    /// The thread's index in its block along z.
    thread_idx_z ThreadIdx Z;
    /// The block's index in the grid along x.
    block_idx_x BlockIdx X;
    /// The block's index in the grid along y.
    block_idx_y BlockIdx Y;
    /// The block's index in the grid along z.
    block_idx_z BlockIdx Z;
    /// Threads of a block along x.
    block_dim_x BlockDim X;
    /// Threads of a block along y.
    block_dim_y BlockDim Y;
    /// Threads of a block along z.
    block_dim_z BlockDim Z;
    /// Blocks of the grid along x.
    grid_dim_x GridDim X;
    /// Blocks of the grid along y.
    grid_dim_y GridDim Y;
    /// Blocks of the grid along z.
    grid_dim_z GridDim Z;
}

/// The thread's index among all along x: `block_idx_x * block_dim_x + thread_idx_x`.
#[track_caller]
pub fn global_idx_x() -> Val<usize> {
    block_idx_x() * block_dim_x() + thread_idx_x()
}

/// The thread's index among all along y.
#[track_caller]
pub fn global_idx_y() -> Val<usize> {
    block_idx_y() * block_dim_y() + thread_idx_y()
}

/// The thread's index in its warp.
#[track_caller]
pub fn lane_id() -> Val<usize> {
    id(Opcode::LaneId, Attr::None)
}

/// A number that each lane has by its index: `of(lane)`, which is the sum of what the bits of the
/// index bring each by itself, as positions in matrices are. Computed by shifts and masks. Of 128
/// lanes, which is a warpgroup, the warp's index brings the upper bits.
#[track_caller]
pub(crate) fn lane_linear(lanes: u32, of: impl Fn(u32) -> u32) -> Val<usize> {
    let base = of(0);
    let bits: Vec<u32> = (0..lanes.ilog2()).map(|bit| of(1 << bit) - base).collect();
    let sum = |lane: u32| -> u32 {
        let set = (0..bits.len()).filter(|bit| lane >> bit & 1 == 1);
        base + set.map(|bit| bits[bit]).sum::<u32>()
    };
    assert!(
        (0..lanes).all(|lane| sum(lane) == of(lane)),
        "positions are sums over the lane's bits"
    );
    let mut total = Val::<u32>::from(base);
    let mut bit = 0;
    while bit < bits.len() {
        // Bits of which each brings twice what the one below it does are one number.
        let mut end = bit + 1;
        while end < bits.len() && bits[end] == 2 * bits[end - 1] && bits[bit] != 0 {
            end += 1;
        }
        if bits[bit] != 0 {
            let number = (lane_of(lanes) >> bit as u32) & ((1 << (end - bit)) - 1);
            total = total + number * bits[bit];
        }
        bit = end;
    }
    super::cast::cast(total)
}

/// The index in the warp, or in a group of `lanes` threads that is more than a warp.
#[track_caller]
fn lane_of(lanes: u32) -> Val<u32> {
    let id = |op| Val::<u32>::from_id(build(|b| b.emit1(op, Attr::None, &[], Type::U32)));
    let lane = id(Opcode::LaneId);
    let warp = target().warp_size();
    match lanes > warp {
        true => (id(Opcode::WarpId) & (lanes / warp - 1)) * warp + lane,
        false => lane,
    }
}

/// The warp's index in its block.
#[track_caller]
pub fn warp_id() -> Val<usize> {
    id(Opcode::WarpId, Attr::None)
}

/// Threads of a warp: a host value, as the target is known while staging.
#[track_caller]
pub fn warp_size() -> usize {
    target().warp_size() as usize
}

/// Waits for all threads of the block; what they wrote to memory is then visible to all of them.
#[track_caller]
pub fn barrier() {
    build(|b| b.emit(Opcode::Barrier, Attr::None, &[], &[]));
}

/// Waits for all threads of the warp; what they wrote to memory is then visible to all of them.
#[track_caller]
pub fn warp_sync() {
    build(|b| b.emit(Opcode::WarpSync, Attr::None, &[], &[]));
}

/// A barrier of the block that a part of its warps uses by itself: `id` is 1 to 15, and `threads` the
/// number of threads that come there each time, a multiple of 32. Waits until as many have come by
/// [`barrier_sync`] or [`barrier_arrive`]; what they wrote to memory before is then visible.
///
/// Warps come as a whole, and which of them do may differ: producers arrive, consumers wait. Only
/// NVIDIA has such barriers (PTX ISA, "bar, barrier"); elsewhere the kernel does not compile.
#[track_caller]
pub fn barrier_sync(id: u32, threads: u32) {
    named_barrier(Opcode::BarrierSync, id, threads);
}

/// Comes to a named barrier, so that those who wait there by [`barrier_sync`] need not wait for this
/// thread, and goes on.
#[track_caller]
pub fn barrier_arrive(id: u32, threads: u32) {
    named_barrier(Opcode::BarrierArrive, id, threads);
}

#[track_caller]
fn named_barrier(op: Opcode, id: u32, threads: u32) {
    if !(1..=15).contains(&id) || threads == 0 || threads > 1024 || !threads.is_multiple_of(32) {
        fail(format!(
            "named barrier {id} of {threads} threads: barriers are numbered 1 to 15, and threads \
             come in whole warps of 32, 1024 at most"
        ));
    }
    let attr = Attr::Barrier { id: id as u8, threads: threads as u16 };
    build(|b| b.emit(op, attr, &[], &[]));
}
