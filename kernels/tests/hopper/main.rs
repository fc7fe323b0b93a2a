//! The kernels of Hopper: what the assembler makes of them, and what they compute.

mod assembled;
mod assembled_gradients;
mod attention;
mod checks;
mod gradients;
mod in_flight;
mod interpreted;
mod loops;
mod quantised;
