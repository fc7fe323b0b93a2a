//! The blocks of a cluster, which run together. A block that stands alone is a cluster of its own.

use super::block::Block;
use super::hall::Hall;
use super::thread::{Parked, Run, State};
use super::world::World;

/// Steps of one turn at most, as a power of two. Mostly threads run until they wait; short turns
/// show what depends on who comes first.
const TURN: usize = 16;

/// A cluster that runs.
pub(super) struct Cluster {
    pub hall: Hall,
    /// By rank.
    pub blocks: Vec<Block>,
}

impl Cluster {
    /// The cluster of this number in the grid.
    pub(super) fn new(world: &World<'_>, number: u32) -> Cluster {
        let numbers = members(world, number);
        let blocks = (0..).zip(&numbers).map(|(rank, &block)| Block::new(world, block, rank));
        Cluster { blocks: blocks.collect(), hall: Hall::new(world, &numbers) }
    }

    /// Lets one thread run for a while, or something arrive; whether the cluster goes on.
    pub(super) fn turn(&mut self, world: &mut World<'_>) -> bool {
        self.hall.something_arrives(world);
        self.wake();
        let can_run = |block: &&mut Block| !block.ready.is_empty();
        let count = self.blocks.iter_mut().filter(can_run).count();
        if count == 0 {
            if self.hall.next_arrives(world) {
                return true;
            }
            self.explain(world);
            return false;
        }
        let which = world.rng.below(count);
        let block = self.blocks.iter_mut().filter(can_run).nth(which).expect("as many as counted");
        let at = world.rng.below(block.ready.len());
        let number = block.ready[at];
        let (rank, hall) = (block.rank, &mut self.hall);
        let thread = &mut block.threads[usize::from(number)];
        let most = 1 << world.rng.below(TURN);
        let mut run = Run { world, hall, rank, thread };
        run.some_copies_arrive();
        run.steps(most);
        let state = thread.state;
        if state != State::Ready {
            block.ready.swap_remove(at);
        }
        if matches!(state, State::Ended | State::Failed) {
            hall.ends(world, rank, &thread.clock, state == State::Failed);
        }
        // A named barrier that this thread was the last to come to lets it go on, too.
        block.pass_named(hall);
        if block.threads[usize::from(number)].state != State::Ready {
            block.stopped(world, hall, number);
        }
        true
    }

    /// Lets parked threads go on whose time has come.
    fn wake(&mut self) {
        if !std::mem::take(&mut self.hall.changed) {
            return;
        }
        for block in &mut self.blocks {
            for thread in block.threads.iter_mut().filter(|t| t.state == State::Parked) {
                match thread.parked {
                    Some(Parked::Mbarrier { at, parity }) => {
                        let barrier = &self.hall.rooms[block.rank].barriers[&at];
                        if !barrier.has_passed(parity) {
                            continue;
                        }
                        barrier.passes(&mut thread.clock);
                    }
                    Some(Parked::Cluster(time)) => {
                        if !self.hall.gathering.is_past(time) {
                            continue;
                        }
                        self.hall.gathering.passes(&mut thread.clock);
                    }
                    Some(Parked::Pair(time)) if !self.hall.pairs[block.rank / 2].is_past(time) => {
                        continue;
                    }
                    Some(Parked::Pair(_)) | None => {}
                }
                thread.parked = None;
                thread.state = State::Ready;
                thread.pc += 1;
                block.ready.push(thread.clock.who.thread);
            }
        }
    }
}

/// The blocks of a cluster, by rank: neighbours in the grid, x fastest.
fn members(world: &World<'_>, number: u32) -> Vec<u32> {
    let Some(size) = world.program.kernel().cluster_dim else { return vec![number] };
    let grid = world.launch.grid;
    let split = |n: u32, [x, y, _]: [u32; 3]| [n % x, n / x % y, n / x / y];
    let clusters = [0, 1, 2].map(|axis| grid[axis] / size[axis]);
    let first = split(number, clusters);
    let blocks = 0..size.iter().product();
    let at = |rank: u32| {
        let inner = split(rank, size);
        let [x, y, z] = [0, 1, 2].map(|axis| first[axis] * size[axis] + inner[axis]);
        x + grid[0] * (y + grid[1] * z)
    };
    blocks.map(at).collect()
}
