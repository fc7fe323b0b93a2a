//! Barriers in shared memory: what asynchronous copies and the threads that use them meet at
//! (PTX ISA, "Parallel Synchronization and Communication Instructions: mbarrier"; sm_90 and newer).
//!
//! Such a barrier counts arrivals, and bytes. Its *phase* ends when as many arrivals have come as it
//! was made for, and all bytes that it was told to expect; then the next one begins by itself.
//! Phases alternate between parity 0 and 1, and who waits names the parity of the phase that is to
//! end: [`wait(0)`](Mbarrier::wait) on a new barrier waits for its first phase, `wait(1)` passes at
//! once.

use kernelsmith_ir::{Attr, Opcode, Space, Type, Value};

use super::index::{KernelIndex, checked};
use super::shared::{Shared, shared_as};
use super::stage::{build, fail};
use super::val::Val;

/// Barriers in the block's shared memory, as many as the stages of a pipeline.
#[derive(Clone, Copy)]
pub struct Mbarriers {
    memory: Shared<u64>,
    count: usize,
}

/// One barrier in shared memory.
#[derive(Clone, Copy)]
pub struct Mbarrier {
    address: Value,
}

/// `count` barriers in the block's shared memory. One thread [inits](Mbarrier::init) each, then
/// [`mbarrier_fence`] and a block barrier (in a cluster: [`cluster_sync`](super::cluster::cluster_sync))
/// let the others use them.
#[track_caller]
pub fn mbarriers(count: usize) -> Mbarriers {
    Mbarriers { memory: shared_as("barriers", count, 8), count }
}

impl Mbarriers {
    /// The barrier of an index; checked.
    #[track_caller]
    pub fn stage(&self, index: impl KernelIndex) -> Mbarrier {
        Mbarrier { address: checked(&self.memory, index).address() }
    }

    /// Makes each of them, for `arrivals` a phase. One thread does this.
    #[track_caller]
    pub fn init(&self, arrivals: u32) {
        for index in 0..self.count {
            self.stage(index).init(arrivals);
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }
}

impl Mbarrier {
    pub(crate) fn address(self) -> Value {
        self.address
    }

    /// Makes the barrier: each of its phases ends after `arrivals`, 1 to 2^20 - 1, and the bytes it
    /// was told of.
    #[track_caller]
    pub fn init(&self, arrivals: u32) {
        if !(1..1 << 20).contains(&arrivals) {
            fail(format!("a barrier for {arrivals} arrivals: it counts 1 to 2^20 - 1"));
        }
        let count = Val::<u32>::from(arrivals);
        build(|b| b.emit(Opcode::MbarrierInit, Attr::None, &[self.address, count.id], &[]));
    }

    /// Comes to the barrier: who waits for the phase sees what this thread wrote before.
    #[track_caller]
    pub fn arrive(&self) {
        build(|b| b.emit(Opcode::MbarrierArrive, Attr::None, &[self.address], &[]));
    }

    /// Comes to the barrier at this address in the block of that rank in the cluster.
    #[track_caller]
    pub fn arrive_at(&self, rank: impl KernelIndex) {
        let there = self.address_at(super::cast::cast(rank.value()));
        build(|b| b.emit(Opcode::MbarrierArrive, Attr::None, &[there], &[]));
    }

    /// The barrier at this address in the block of that rank.
    #[track_caller]
    pub(crate) fn address_at(&self, rank: Val<u32>) -> Value {
        let ty = Type::Ptr(Space::Cluster, kernelsmith_ir::Scalar::U64);
        build(|b| b.emit1(Opcode::MapShared, Attr::None, &[self.address, rank.id], ty))
    }

    /// Tells the barrier of `bytes` that copies will bring in this phase, and comes to it.
    #[track_caller]
    pub fn arrive_expect(&self, bytes: usize) {
        if bytes >= 1 << 20 {
            fail(format!("a barrier that expects {bytes} bytes: it counts up to 2^20 - 1"));
        }
        let bytes = Val::<u32>::from(bytes as u32);
        build(|b| b.emit(Opcode::MbarrierExpect, Attr::None, &[self.address, bytes.id], &[]));
    }

    /// Comes to the barrier when the copies that this thread began by
    /// [`cp_async`](super::copies::cp_async) have arrived.
    #[track_caller]
    pub fn arrive_after_cp_async(&self) {
        build(|b| b.emit(Opcode::CpAsyncArrive, Attr::None, &[self.address], &[]));
    }

    /// Waits until the phase of that parity has ended.
    #[track_caller]
    pub fn wait(&self, parity: Val<u32>) {
        build(|b| b.emit(Opcode::MbarrierWait, Attr::None, &[self.address, parity.id], &[]));
    }

    /// Whether the phase of that parity has ended.
    #[track_caller]
    pub fn test(&self, parity: Val<u32>) -> Val<bool> {
        let operands = [self.address, parity.id];
        Val::from_id(build(|b| b.emit1(Opcode::MbarrierTest, Attr::None, &operands, Type::BOOL)))
    }
}

/// Lets the cluster and the copy engine see the barriers that this thread has made.
#[track_caller]
pub fn mbarrier_fence() {
    build(|b| b.emit(Opcode::MbarrierFence, Attr::None, &[], &[]));
}
