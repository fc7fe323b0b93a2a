//! An interpreter that runs kernels for whole grids and finds what is wrong in them.
//!
//! It runs kernels as the front end staged them, with variable slots, and what passes make of them.
//! Threads take turns in a random order that a seed decides, and each access is checked: bounds,
//! alignment, whether anybody wrote what is read, and whether something orders it with the accesses
//! of other threads ([`FindingKind`] lists all that is looked for). Whether two accesses race is
//! told from what orders them (barriers, warp synchronisation, atomics and fences, waits for
//! copies), never from when they happened to run, so one run finds the races of all schedules that
//! take the same branches.
//!
//! The parts, from the bottom up:
//! * `program` lays a kernel out flat, `memory` holds bytes with bounds and a note of what was
//!   written, `clock` knows which accesses come before others, `shadow` which accesses there were;
//! * `thread` steps through what one thread does alone, `scalar` computes, `access` and `atomic`
//!   touch memory, `copies` are the asynchronous ones;
//! * `collective` and `matrix` are what the lanes of a warp do together, `block` lets threads meet,
//!   `named` does so at barriers that count them, and `grid` decides whose turn it is.
//!
//! An operation that starts work which ends later, as TMA copies and `wgmma` do, is one more sort of
//! access that stays in flight (`shadow`) until a wait settles it, as in `copies`; an object to wait
//! at, as an mbarrier, is one more reason for a thread to stand still (`block`).

mod access;
mod atomic;
mod block;
mod clock;
mod collective;
mod copies;
mod finding;
mod grid;
mod matrix;
mod memory;
mod named;
mod program;
mod rng;
mod scalar;
mod shadow;
mod thread;
mod world;

pub use finding::{Agent, Finding, FindingKind, Other, Place};
pub use grid::run;
pub use memory::{Memory, NoBuffer};
pub use program::Program;

use crate::check::ErrorRecord;

/// How a kernel is launched.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    /// Blocks along each axis.
    pub grid: [u32; 3],
    /// Threads of a block along each axis.
    pub block: [u32; 3],
    /// Bytes of dynamic shared memory of each block.
    pub dynamic_shared: u32,
    /// The packed parameters ([`Kernel::param_layout`](crate::Kernel::param_layout)).
    pub args: &'a [u8],
    /// By parameter, how many bytes a pointer may reach; where there is no entry, to the end of the
    /// buffer.
    pub extents: &'a [Option<u64>],
    /// Lanes of a warp.
    pub warp_size: u32,
    /// Decides the schedule.
    pub seed: u64,
    /// Steps after which a thread counts as endless.
    pub fuel: u64,
}

impl Launch<'_> {
    /// Steps after which one would have given up waiting: some ten seconds of one thread.
    pub const FUEL: u64 = 1 << 28;
}

/// What a launch did besides writing memory.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// The first check that failed.
    pub record: ErrorRecord,
    /// What is wrong, in the order it was found; each kind at each line once.
    pub findings: Vec<Finding>,
}
