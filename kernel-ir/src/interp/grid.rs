//! Whose turn it is.

use super::cluster::Cluster;
use super::memory::Memory;
use super::program::Program;
use super::world::World;
use super::{Launch, Outcome};

/// Blocks, or clusters of them, that run at the same time, as long as they end. Few, so that their
/// threads' registers stay in the processor's cache.
const FEW: usize = 4;

/// Blocks that run at the same time at most: more than [`FEW`] where they seem to wait for others,
/// as the blocks of a small grid may on hardware, which runs all of them at once.
const BLOCKS: usize = 64;

/// Turns without a block's end, after which one more may begin.
const PATIENCE: usize = 2000;

/// Threads that run at the same time at most, where that is more than one block.
const THREADS: usize = 4096;

/// Registers at the same time at most, where that is more than one block: 256 MB.
const REGISTERS: usize = 32 << 20;

/// Runs every block of a grid.
///
/// The arguments are checked against `memory` when they are used: a pointer to nowhere is a finding
/// like any other.
pub fn run(program: &Program, launch: &Launch<'_>, memory: &mut Memory) -> Outcome {
    let mut world = World::new(program, launch, memory);
    let size = program.kernel().cluster_dim.unwrap_or([1; 3]);
    if (0..3).any(|axis| !launch.grid[axis].is_multiple_of(size[axis])) {
        let grid = launch.grid;
        world.refuse(format!("a grid of {grid:?} blocks is not made of clusters of {size:?}"));
    }
    let blocks: u64 = launch.grid.iter().map(|&n| u64::from(n)).product();
    let size: u64 = size.iter().map(|&n| u64::from(n)).product();
    let clusters = blocks / size;
    let threads: usize =
        launch.block.iter().map(|&n| n as usize).product::<usize>() * size as usize;
    let registers = threads * program.registers as usize;
    let most = BLOCKS.min(THREADS / threads).min(REGISTERS / registers.max(1)).max(1);
    let mut running: Vec<Cluster> = Vec::new();
    let (mut next, mut allowed, mut turns) = (0, FEW.min(most), 0);
    while !world.stopped {
        while running.len() < allowed && next < clusters {
            running.push(Cluster::new(&world, next as u32));
            next += 1;
        }
        if running.is_empty() {
            break;
        }
        let which = world.rng.below(running.len());
        let goes_on = running[which].turn(&mut world);
        turns += 1;
        if !goes_on {
            running.swap_remove(which);
            turns = 0;
        } else if turns > PATIENCE {
            allowed = most.min(allowed + 1);
            turns = 0;
        }
    }
    world.outcome
}
