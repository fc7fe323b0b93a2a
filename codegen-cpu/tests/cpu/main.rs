//! The CPU backend under every instruction set this machine has: each kernel is prepared, compiled,
//! run on many lanes, and compared with what the IR says, lane by lane.

mod harness;
mod operations;
