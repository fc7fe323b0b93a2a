//! The kernels of Hopper: what the assembler makes of them, and what they compute.

mod assembled;
mod attention;
mod checks;
mod interpreted;
mod quantised;
