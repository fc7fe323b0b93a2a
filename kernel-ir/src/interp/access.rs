//! Reads and writes of memory, with all that is checked about them.

use std::ops::Range;

use super::finding::FindingKind;
use super::flight::shadow_of;
use super::memory::Bytes;
use super::program::{Plain, Reg};
use super::shadow::{Deed, Sort};
use super::thread::{Run, State};
use super::world::Where;
use crate::attr::Attr;
use crate::kernel::Kernel;
use crate::loc::Loc;
use crate::op::Opcode;
use crate::types::{Scalar, Type};

/// The first register of a pointer: which array it points into. Zero is no array.
pub(super) struct Spaces;

const GLOBAL: u64 = 1 << 32;
const SHARED: u64 = 2 << 32;
const LOCAL: u64 = 3 << 32;
/// A shared array of the block whose number in the cluster stands above.
const CLUSTER: u64 = 4 << 32;

/// Where that number stands, and the largest that has room. Clusters are smaller.
const RANK: u32 = 40;
const MOST_RANK: u64 = 0xFF_FFFF;

/// The part of a pointer's first register that says which sort of array it is.
const SPACE: u64 = 0xFF << 32;

impl Spaces {
    pub(super) const fn global(param: usize) -> u64 {
        GLOBAL | param as u64
    }

    pub(super) const fn shared(id: usize) -> u64 {
        SHARED | id as u64
    }

    pub(super) const fn local(id: usize) -> u64 {
        LOCAL | id as u64
    }

    /// A shared array as another block of the cluster has it.
    pub(super) const fn cluster(shared: u64, rank: u64) -> u64 {
        if shared & SPACE != SHARED {
            return 0;
        }
        let rank = if rank > MOST_RANK { MOST_RANK } else { rank };
        CLUSTER | rank << RANK | shared & u32::MAX as u64
    }
}

/// An array as a pointer sees it.
#[derive(Clone, Copy, Debug)]
struct Array {
    /// The memory; none where there is none.
    memory: Option<Home>,
    /// Where it begins in its memory.
    start: usize,
    /// Its bytes.
    len: usize,
    /// The address of its start, as alignment goes.
    address: u64,
    writable: bool,
}

/// Where an array lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Home {
    /// A buffer, and its shadow where somebody may write it.
    Buffer(usize, Option<usize>),
    /// The shared memory of the block with this number in the cluster.
    Shared(u8),
    Local(usize),
}

/// Bytes that may be accessed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Spot {
    pub home: Home,
    pub at: usize,
    pub len: usize,
    /// Bytes of an element, which accesses are counted in.
    pub grain: usize,
}

impl Spot {
    pub(super) fn range(&self) -> Range<usize> {
        self.at..self.at + self.len
    }
}

/// An access that an instruction asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    pub pointer: Reg,
    pub bytes: usize,
    /// What the address must be a multiple of.
    pub align: usize,
    pub sort: Sort,
    pub loc: Loc,
}

impl Run<'_, '_> {
    pub(super) fn memory(&mut self, plain: &Plain, loc: Loc) {
        match (plain.op, &plain.attr) {
            (Opcode::Load, &Attr::Mem { align, .. }) => {
                let to = plain.results[0];
                let (bytes, align) = (to.ty.size() as usize, align as usize);
                let access =
                    Access { pointer: plain.operands[0], bytes, align, sort: Sort::Read, loc };
                if let Some(spot) = self.reach(access) {
                    self.touch(&spot, Sort::Read, loc);
                    self.load(&spot, to);
                }
            }
            (Opcode::Store, &Attr::Mem { align, .. }) => {
                let [pointer, from] = [plain.operands[0], plain.operands[1]];
                let (bytes, align) = (from.ty.size() as usize, align as usize);
                let access = Access { pointer, bytes, align, sort: Sort::Write, loc };
                if let Some(spot) = self.reach(access) {
                    self.touch(&spot, Sort::Write, loc);
                    let bytes = self.bytes_of(from);
                    self.home_mut(spot.home).put(spot.at, &bytes);
                }
            }
            (Opcode::AtomicRmw | Opcode::AtomicCas, _) => self.atomic(plain, loc),
            (Opcode::AtomicLoad | Opcode::AtomicStore, _) => self.atomic_access(plain, loc),
            (Opcode::BarrierArrive, _) => {
                self.come(plain);
            }
            (Opcode::Fence, &Attr::Fence { order, scope }) => self.fence(order, scope),
            (Opcode::CpAsync, &Attr::Count(bytes)) => self.begin_copy(plain, bytes as usize, loc),
            (Opcode::CpAsyncCommit, _) => self.commit_copies(),
            (Opcode::CpAsyncWait, &Attr::Count(left)) => self.wait_for_copies(left as usize),
            _ => self.engine(plain, loc),
        }
    }

    /// What concerns engines, and the barriers that threads wait at for them.
    fn engine(&mut self, plain: &Plain, loc: Loc) {
        match (plain.op, &plain.attr) {
            (Opcode::TmaLoad | Opcode::TmaStore | Opcode::BulkLoad | Opcode::BulkStore, _) => {
                self.bulk_copy(plain, loc);
            }
            (Opcode::BulkCommit, _) => self.commit_stores(),
            (Opcode::BulkWait, &Attr::Count(left)) => self.wait_for_stores(left as usize, true),
            (Opcode::BulkWaitRead, &Attr::Count(left)) => {
                self.wait_for_stores(left as usize, false);
            }
            (Opcode::AsyncFence, _) => {
                self.hall.fences.add(&mut self.thread.clock);
                self.hall.fence_barriers(self.thread.clock.who);
            }
            (Opcode::MbarrierFence, _) => self.hall.fence_barriers(self.thread.clock.who),
            (Opcode::MbarrierInit | Opcode::MbarrierArrive | Opcode::MbarrierExpect, _)
            | (Opcode::MbarrierTest | Opcode::MbarrierWait | Opcode::CpAsyncArrive, _) => {
                self.at_barrier(plain, loc);
            }
            (Opcode::Tcgen05Mma, _) => self.tensor_product(plain, loc),
            (Opcode::Tcgen05Copy, _) => self.tensor_copy(plain, loc),
            (Opcode::Tcgen05Commit, _) => self.tensor_commit(plain, loc),
            (op @ (Opcode::Tcgen05FenceBefore | Opcode::Tcgen05FenceAfter), _) => {
                self.tensor_fence(op);
            }
            (Opcode::ClusterArrive, _) => self.cluster_arrive(loc),
            (Opcode::ClusterWait, _) => self.cluster_wait(loc),
            // A prefetch moves nothing that can be seen, and never faults. Launches run one after
            // the other, each whole.
            (Opcode::Prefetch | Opcode::TmaPrefetch | Opcode::TmaFetch | Opcode::BulkFetch, _)
            | (Opcode::GridWait | Opcode::GridRelease, _) => {}
            (op, _) => unreachable!("`{}` is nothing that a thread does alone", op.name()),
        }
    }

    /// The array that a pointer points into.
    fn array(&self, pointer: Reg) -> Array {
        let base = self.thread.get(pointer);
        let index = base as u32 as usize;
        let kernel = self.world.program.kernel();
        match base & SPACE {
            GLOBAL => {
                let global = self.world.globals[index].expect("a pointer parameter");
                Array {
                    memory: global.allocation.map(|n| Home::Buffer(n, global.shadow)),
                    start: global.start,
                    len: global.len,
                    address: global.address,
                    writable: global.writable,
                }
            }
            SHARED | CLUSTER => {
                let own = base & SPACE == SHARED;
                let rank = if own { self.rank } else { (base >> RANK) as usize };
                let room = &self.hall.rooms[self.rank];
                let start = room.shared_layout().0[index] as usize;
                let decl = &kernel.shared[index];
                let len = match decl.len {
                    Some(len) => (len * decl.elem.size()) as usize,
                    // Dynamic arrays reach to the end.
                    None => room.shared.len() - start,
                };
                let memory = (rank < self.hall.rooms.len()).then_some(Home::Shared(rank as u8));
                // As far apart as no shared memory is large.
                let address = ((rank as u64) << 24) + start as u64;
                Array { memory, start, len, address, writable: true }
            }
            LOCAL => {
                let len = self.thread.locals[index].len();
                let memory = Some(Home::Local(index));
                Array { memory, start: 0, len, address: 0, writable: true }
            }
            _ => Array { memory: None, start: 0, len: 0, address: 0, writable: false },
        }
    }

    /// The absolute address, to compare pointers by.
    pub(super) fn address_of(&self, pointer: Reg) -> u64 {
        let offset = self.thread.regs[pointer.index() + 1];
        self.array(pointer).address.wrapping_add(offset)
    }

    /// Checks that an access stays inside and is aligned; reports what is wrong. A thread whose
    /// access lies outside cannot go on.
    pub(super) fn reach(&mut self, access: Access) -> Option<Spot> {
        let Access { pointer, bytes, align, sort, loc } = access;
        let array = self.array(pointer);
        let offset = self.thread.regs[pointer.index() + 1];
        let inside = usize::try_from(offset)
            .ok()
            .filter(|at| at.checked_add(bytes).is_some_and(|end| end <= array.len));
        let (Some(offset), Some(home)) = (inside, array.memory) else {
            let name = self.name(pointer);
            let (at, len) = (offset as i64, array.len);
            let what =
                format!("{} {bytes} bytes at byte {at} of {name}, which has {len}", sort.verb());
            self.report(FindingKind::OutOfBounds, loc, what);
            self.thread.state = State::Failed;
            return None;
        };
        let address = array.address + offset as u64;
        if !address.is_multiple_of(align as u64) {
            let what = format!(
                "{} {bytes} bytes at byte {offset} of {}, an address that is no multiple of {align}",
                sort.verb(),
                self.name(pointer)
            );
            self.report(FindingKind::Misaligned, loc, what);
            self.thread.state = State::Failed;
            return None;
        }
        if !sort.reads_only() && !array.writable {
            let what = format!("writes to {}, which kernels only read", self.name(pointer));
            self.report(FindingKind::ReadOnly, loc, what);
            self.thread.state = State::Failed;
            return None;
        }
        if let Home::Shared(rank) = home
            && usize::from(rank) != self.rank
        {
            self.visit(rank.into(), sort, loc);
        }
        let grain = pointer.ty.elem().size() as usize;
        Some(Spot { home, at: array.start + offset, len: bytes, grain: grain.min(bytes) })
    }

    /// Checks order with what others did, and that what is read was written. A thread goes on after
    /// either, as hardware would.
    pub(super) fn touch(&mut self, spot: &Spot, sort: Sort, loc: Loc) {
        let raced = self.order(spot, sort, loc);
        if let Home::Shared(rank) = spot.home
            && !self.hall.rooms[usize::from(rank)].barriers.is_empty()
        {
            self.spare_barriers(rank.into(), spot.at, spot.len, sort, loc);
        }
        if sort.reads() && !raced && !self.home(spot.home).is_written(spot.range()) {
            let what = format!("{} {} bytes that nobody wrote", sort.verb(), spot.len);
            self.report(FindingKind::Uninitialized, loc, what);
        }
    }

    /// Notes an access; whether it races.
    fn order(&mut self, spot: &Spot, sort: Sort, loc: Loc) -> bool {
        let Some(shadow) = shadow_of(self.world, self.hall, spot.home) else { return false };
        let clock = &self.thread.clock;
        let deed = Deed { clock, sort, landed: None, loc };
        let Some(conflict) = shadow.access(spot.range(), spot.grain, deed, clock) else {
            return false;
        };
        self.world.race(&spot.home, spot.len, deed, conflict);
        true
    }

    /// The bytes of the array that a pointer points into, in its memory.
    pub(super) fn array_bytes(&self, pointer: Reg) -> Range<usize> {
        let array = self.array(pointer);
        array.start..array.start + array.len
    }

    /// What the user calls an array.
    pub(super) fn name(&self, pointer: Reg) -> String {
        name(self.world.program.kernel(), self.thread.get(pointer), self.hall.rooms.len())
    }

    pub(super) fn home(&self, home: Home) -> &Bytes {
        match home {
            Home::Buffer(number, _) => self.world.memory.bytes(number),
            Home::Shared(rank) => &self.hall.rooms[usize::from(rank)].shared,
            Home::Local(id) => &self.thread.locals[id],
        }
    }

    pub(super) fn home_mut(&mut self, home: Home) -> &mut Bytes {
        match home {
            Home::Buffer(number, _) => self.world.memory.bytes_mut(number),
            Home::Shared(rank) => &mut self.hall.rooms[usize::from(rank)].shared,
            Home::Local(id) => &mut self.thread.locals[id],
        }
    }

    /// The memory's name, for synchronisation.
    pub(super) fn whereabouts(&self, home: Home) -> Option<Where> {
        match home {
            Home::Buffer(number, _) => Some(Where::Buffer(number)),
            Home::Shared(rank) => Some(Where::Shared(self.hall.rooms[usize::from(rank)].number)),
            Home::Local(_) => None,
        }
    }

    /// Reads a scalar or vector into its registers.
    pub(super) fn load(&mut self, spot: &Spot, to: Reg) {
        let size = to.ty.elem().size() as usize;
        for lane in 0..to.len() {
            let at = spot.at + lane * size;
            let bits = word(self.home(spot.home).get(at..at + size));
            self.thread.regs[to.index() + lane] = stored(to.ty, bits);
        }
    }

    fn bytes_of(&self, from: Reg) -> Vec<u8> {
        let size = from.ty.elem().size() as usize;
        let regs = &self.thread.regs[from.index()..from.index() + from.len()];
        regs.iter().flat_map(|bits| bits.to_le_bytes().into_iter().take(size)).collect()
    }
}

/// Bytes as a number, the lowest first.
pub(super) fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

/// A scalar's bits as registers hold them: a bool is one bit, whatever its byte holds.
const fn stored(ty: Type, bits: u64) -> u64 {
    match ty.elem() {
        Scalar::Bool => bits & 1,
        _ => bits,
    }
}

fn name(kernel: &Kernel, base: u64, blocks: usize) -> String {
    let index = base as u32 as usize;
    match base & SPACE {
        GLOBAL => format!("`{}`", kernel.params[index].name),
        SHARED => format!("the shared array `{}`", kernel.shared[index].name),
        CLUSTER => {
            let (array, rank) = (&kernel.shared[index].name, base >> RANK);
            format!("the shared array `{array}` of block {rank} in a cluster of {blocks}")
        }
        LOCAL => "a local array".to_owned(),
        _ => "no array".to_owned(),
    }
}
