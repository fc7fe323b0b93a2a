//! The matmul of Hopper: TMA copies, `wgmma`, and warpgroups with roles.

mod cooperative;

pub use cooperative::{matmul_cooperative, matmul_cooperative_ir};
