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
//!   written, `clock` knows which accesses come before others, `shadow` which accesses there were,
//!   `fences` what the asynchronous proxy was let to see;
//! * `thread` steps through what one thread does alone, `scalar` computes, `access` and `atomic`
//!   touch memory;
//! * what goes on by itself: `copies` are those of single threads, `bulk` those of the copy engine
//!   (`area` says what they move), `flight` is all that is on its way, `pending` what `wgmma` has not
//!   yet written to registers or still reads from them (`factors`);
//! * `collective` and `matrix` are what the lanes of a warp do together, `wgmma` what four warps do;
//! * where threads wait for others: `block` lets them meet, `named` barriers and `mbarrier`s count
//!   them, `gather` is a cluster's barrier; `deadlock` tells who waits for whom;
//! * `hall` is what the blocks of a cluster share, `visit` what they do in each other's memory,
//!   `cluster` gives them their turns, and `grid` the clusters theirs.
//!
//! All threads are on their own until they come together, so that a role of one lane, a warp or a
//! warpgroup is nothing special. What an engine does is an access as any other, which is known to
//! nobody until a wait has settled it.

mod access;
mod allocate;
mod area;
mod atomic;
mod block;
mod bulk;
mod clock;
mod cluster;
mod collective;
mod copies;
mod deadlock;
mod factors;
mod fences;
mod finding;
mod flight;
mod gather;
mod grid;
mod hall;
mod matrix;
mod mbarrier;
mod memory;
mod named;
mod pending;
mod product;
mod program;
mod rng;
mod scalar;
mod shadow;
mod tcgen05;
mod tensor;
mod thread;
mod visit;
mod wgmma;
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
