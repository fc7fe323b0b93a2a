//! Whose turn it is.

use super::block::Block;
use super::memory::Memory;
use super::program::Program;
use super::thread::{Run, State};
use super::world::World;
use super::{Launch, Outcome};

/// Blocks that run at the same time, as long as they end. Few, so that their threads' registers
/// stay in the processor's cache.
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

/// Steps of one turn at most, as a power of two. Mostly threads run until they wait; short turns
/// show what depends on who comes first.
const TURN: usize = 16;

/// Runs every block of a grid.
///
/// The arguments are checked against `memory` when they are used: a pointer to nowhere is a finding
/// like any other.
pub fn run(program: &Program, launch: &Launch<'_>, memory: &mut Memory) -> Outcome {
    let blocks: u64 = launch.grid.iter().map(|&n| u64::from(n)).product();
    let threads: usize = launch.block.iter().map(|&n| n as usize).product();
    let mut world = World::new(program, launch, memory);
    let registers = threads * program.registers as usize;
    let most = BLOCKS.min(THREADS / threads).min(REGISTERS / registers.max(1)).max(1);
    let mut running: Vec<Block> = Vec::new();
    let (mut next, mut allowed, mut turns) = (0, FEW.min(most), 0);
    while !world.stopped {
        while running.len() < allowed && next < blocks {
            running.push(Block::new(&world, next as u32));
            next += 1;
        }
        if running.is_empty() {
            break;
        }
        let which = world.rng.below(running.len());
        turn(&mut world, &mut running[which]);
        turns += 1;
        if running[which].ready.is_empty() {
            running.swap_remove(which);
            turns = 0;
        } else if turns > PATIENCE {
            allowed = most.min(allowed + 1);
            turns = 0;
        }
    }
    world.outcome
}

/// Lets one thread of a block run for a while.
fn turn(world: &mut World<'_>, block: &mut Block) {
    let at = world.rng.below(block.ready.len());
    let number = block.ready[at];
    let thread = &mut block.threads[usize::from(number)];
    let most = 1 << world.rng.below(TURN);
    let mut run = Run { world, room: &mut block.room, thread };
    run.some_copies_arrive();
    run.steps(most);
    block.pass_named();
    if block.threads[usize::from(number)].state != State::Ready {
        block.ready.swap_remove(at);
        block.stopped(world, number);
    }
}
