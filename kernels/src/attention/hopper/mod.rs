//! The attention of Hopper: TMA copies, `wgmma`, and warpgroups with roles.

mod forward;
mod rows;

pub use forward::{attention_forward, attention_forward_ir};
