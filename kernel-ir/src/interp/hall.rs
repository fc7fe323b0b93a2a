//! What the blocks of a cluster share: their memories, and all that goes on by itself.

use std::collections::BTreeMap;

use super::allocate::Pair;
use super::clock::{Clock, Who};
use super::fences::Fences;
use super::finding::FindingKind;
use super::flight::Flight;
use super::gather::Gathering;
use super::mbarrier::Mbarrier;
use super::memory::Bytes;
use super::named::Named;
use super::shadow::Shadow;
use super::tensor::Tensor;
use super::visit::Visit;
use super::wgmma::Warpgroup;
use super::world::World;

/// The shared memory of a block, and what is done there.
pub(super) struct Room {
    /// The block's number in the grid.
    pub number: u32,
    pub shared: Bytes,
    pub shadow: Shadow,
    pub named: [Named; 16],
    /// The barriers in its memory, by place.
    pub barriers: BTreeMap<usize, Mbarrier>,
    pub warpgroups: Vec<Warpgroup>,
    pub tensor: Tensor,
    /// What engines and other blocks did here, which must come before the block's end.
    pub visits: Vec<Visit>,
    /// Threads that have not ended.
    pub alive: usize,
    layout: (Vec<u32>, u32),
}

impl Room {
    fn new(world: &World<'_>, number: u32) -> Room {
        let layout = world.program.kernel().shared_layout();
        let dynamic = layout.0.iter().zip(&world.program.kernel().shared);
        let start = dynamic.filter(|(_, decl)| decl.len.is_none()).map(|(&at, _)| at).max();
        let bytes = start.unwrap_or(layout.1).max(layout.1) + world.launch.dynamic_shared;
        let threads: u32 = world.launch.block.iter().product();
        let warpgroups = threads.div_ceil(crate::wgmma::THREADS);
        Room {
            number,
            shared: Bytes::unwritten(bytes as usize),
            shadow: Shadow::new(bytes as usize, world.launch.warp_size),
            named: Default::default(),
            barriers: BTreeMap::new(),
            warpgroups: (0..warpgroups).map(|_| Warpgroup::default()).collect(),
            tensor: Tensor::new(world.launch.warp_size),
            visits: Vec::new(),
            alive: threads as usize,
            layout,
        }
    }

    /// Where each shared array begins, and the bytes of the static ones.
    pub(super) fn shared_layout(&self) -> &(Vec<u32>, u32) {
        &self.layout
    }
}

/// What the blocks of a cluster share.
pub(super) struct Hall {
    /// By rank.
    pub rooms: Vec<Room>,
    /// Copies on their way, and arrivals that wait for some.
    pub flights: Vec<Flight>,
    pub fences: Fences,
    /// Where the blocks of each pair take tensor memory.
    pub pairs: Vec<Pair>,
    /// The cluster's barrier.
    pub gathering: Gathering,
    /// Something happened that a parked thread may wait for.
    pub changed: bool,
    /// A thread failed: what follows from that is no news.
    pub failed: bool,
}

impl Hall {
    /// For the blocks of these numbers.
    pub(super) fn new(world: &World<'_>, numbers: &[u32]) -> Hall {
        let threads: u32 = world.launch.block.iter().product();
        Hall {
            rooms: numbers.iter().map(|&number| Room::new(world, number)).collect(),
            flights: Vec::new(),
            fences: Fences::default(),
            pairs: (0..numbers.len().div_ceil(2)).map(|_| Pair::default()).collect(),
            gathering: Gathering::new(threads as usize * numbers.len()),
            changed: false,
            failed: false,
        }
    }

    /// Lets the cluster and copies see the barriers that a thread has made.
    pub(super) fn fence_barriers(&mut self, who: Who) {
        for room in &mut self.rooms {
            room.barriers.values_mut().for_each(|barrier| barrier.fence(who));
        }
    }

    /// A thread has ended.
    pub(super) fn ends(&mut self, world: &mut World<'_>, rank: usize, clock: &Clock, failed: bool) {
        self.failed |= failed;
        let room = &mut self.rooms[rank];
        room.alive -= 1;
        room.visits.retain(|visit| !visit.is_known(clock));
        let last = room.alive == 0;
        self.changed |= self.gathering.leaves(clock.who);
        if last && !self.failed {
            self.closes(world, rank, clock.who);
        }
    }

    /// A block's last thread has ended: nobody may come any more, or be there still.
    fn closes(&mut self, world: &mut World<'_>, rank: usize, last: Who) {
        let mut late = std::mem::take(&mut self.rooms[rank].visits);
        late.extend(self.flights.iter().filter_map(|flight| flight.visit(rank)));
        for visit in late {
            world.report(visit.report(FindingKind::EndedBlock, last));
        }
        self.rooms[rank].tensor.kept().into_iter().for_each(|report| world.report(report));
    }
}
