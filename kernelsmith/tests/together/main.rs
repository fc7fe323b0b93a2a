//! What threads do together: warps, blocks, shared memory, atomics, prints and assertions, run on
//! the CPU and by the emulator of PTX, and compiled for every target.

mod atomics;
mod blocks;
mod harness;
mod printing;
mod sharing;
mod streaming;
mod warps;
