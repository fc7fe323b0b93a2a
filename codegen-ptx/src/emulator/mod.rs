//! Runs the PTX this crate writes, on the host, slowly and strictly.
//!
//! For tests: they see what a kernel's text does where there is no GPU. It follows the PTX ISA
//! manual, not the code generator, and is stricter than the hardware: reading a register before
//! it is written, an access outside an allocation or at a wrong alignment, and threads that wait
//! for each other at different places are faults. Only what [`compile`](crate::compile) writes is
//! there. Threads run one after the other, each until it waits, in an order that the caller picks.

mod arith;
mod block;
mod collective;
mod convert;
mod memory;
mod parse;
mod thread;

pub use block::{Launch, run};
pub use memory::Memory;

/// Why a kernel cannot go on.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{what}, in `{instruction}`, thread {thread:?} of block {block:?}")]
pub struct Fault {
    /// What is wrong.
    pub what: String,
    /// The instruction, as text.
    pub instruction: String,
    /// The thread's index in its block.
    pub thread: [u32; 3],
    /// The block's index in the grid.
    pub block: [u32; 3],
}
