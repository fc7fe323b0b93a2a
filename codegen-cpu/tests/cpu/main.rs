//! The CPU backend under every instruction set this machine has: each kernel is prepared, compiled,
//! run on many lanes, and compared with what the IR says, lane by lane.

mod atomics;
mod barriers;
mod casts;
mod checks;
mod dot;
mod harness;
mod kernels;
#[allow(dead_code)]
#[path = "../../../kernel-ir/tests/differential/machine.rs"]
mod machine;
mod memory;
mod operations;
mod random;
#[allow(dead_code)]
#[path = "../../../kernel-ir/tests/differential/random_kernel.rs"]
mod random_kernel;
mod snapshots;
mod warp;
