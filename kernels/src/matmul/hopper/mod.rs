//! The matmul of Hopper: TMA copies, `wgmma`, and warpgroups with roles.

pub mod config;
mod cooperative;
mod launch;
mod schedule;

pub use cooperative::{Order, matmul_cooperative, matmul_cooperative_ir};
pub(super) use launch::{is_hopper, product};
