//! The matmul of Hopper: TMA copies, `wgmma`, and warpgroups with roles.

mod cooperative;
mod schedule;

pub use cooperative::{Order, matmul_cooperative, matmul_cooperative_ir};
