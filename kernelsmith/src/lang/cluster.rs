//! Clusters: blocks that run at the same time and reach each other's shared memory (PTX ISA,
//! "Cluster of Cooperative Thread Arrays"; sm_90 and newer), and the parts that a block's warps play.

use kernelsmith_ir::{Attr, Opcode, Scalar, Type};

use super::stage::{build, fail};
use super::val::Val;

#[track_caller]
fn sync(op: Opcode) {
    build(|b| b.emit(op, Attr::None, &[], &[]));
}

/// The block's number in its cluster, x fastest. The kernel fixes its cluster:
/// `#[kernel(block = 128, cluster = 2)]`.
#[track_caller]
pub fn cluster_rank() -> Val<usize> {
    number(Opcode::ClusterRank)
}

/// The index in its block of the thread's warpgroup: four warps, 128 threads, that begin at a
/// multiple of four. Code under a condition on it is reached by whole warpgroups.
#[track_caller]
pub fn warpgroup_id() -> Val<usize> {
    number(Opcode::WarpgroupId)
}

#[track_caller]
fn number(op: Opcode) -> Val<usize> {
    Val::from_id(build(|b| {
        let id = b.emit1(op, Attr::None, &[], Type::U32);
        b.cast(id, Scalar::U64)
    }))
}

/// Comes to the cluster's barrier, and goes on. Who passes [`cluster_wait`] sees what was written
/// before.
#[track_caller]
pub fn cluster_arrive() {
    sync(Opcode::ClusterArrive);
}

/// Waits until all threads of the cluster have come to its barrier.
#[track_caller]
pub fn cluster_wait() {
    sync(Opcode::ClusterWait);
}

/// Waits for all threads of the cluster; what they wrote is then visible to all of them.
#[track_caller]
pub fn cluster_sync() {
    cluster_arrive();
    cluster_wait();
}

/// True on one lane of the warp (PTX ISA, `elect.sync`): who issues copies for all.
#[track_caller]
pub fn elect() -> Val<bool> {
    Val::from_id(build(|b| b.emit1(Opcode::Elect, Attr::None, &[], Type::BOOL)))
}

/// Gives registers back: each thread of this warpgroup keeps `count` (PTX ISA, `setmaxnreg`; a
/// multiple of 8 from 24 to 256). What it frees, another warpgroup gets by [`raise_registers`].
///
/// The kernel fixes its block, and each warpgroup's part is one branch of an `if` on
/// [`warpgroup_id`]; else the assembler ignores it.
#[track_caller]
pub fn lower_registers(count: usize) {
    share(count, false);
}

/// Waits for as many registers for each thread of this warpgroup; see [`lower_registers`].
#[track_caller]
pub fn raise_registers(count: usize) {
    share(count, true);
}

#[track_caller]
fn share(count: usize, raise: bool) {
    if !(24..=256).contains(&count) || !count.is_multiple_of(8) {
        fail(format!("{count} registers a thread: a share is a multiple of 8 from 24 to 256"));
    }
    let attr = Attr::Registers { count: count as u16, raise };
    build(|b| b.emit(Opcode::SetMaxRegisters, attr, &[], &[]));
}

/// Waits until the launches before have ended that this one overlaps
/// ([`Launch::overlap_previous`](crate::launch::Launch::overlap_previous)), and sees what they wrote
/// (PTX ISA, `griddepcontrol.wait`).
#[track_caller]
pub fn grid_wait() {
    sync(Opcode::GridWait);
}

/// Lets an overlapping launch behind this one begin, once all blocks have come here or ended
/// (PTX ISA, `griddepcontrol.launch_dependents`).
#[track_caller]
pub fn grid_release() {
    sync(Opcode::GridRelease);
}
