//! The attention of Hopper: TMA copies, `wgmma`, and warpgroups with roles.

pub mod backward;
mod clear;
mod combine;
pub mod config;
mod copies;
mod forward;
pub mod latent;
mod launch;
mod output;
mod rows;
mod scores;
mod transpose;
mod turns;
mod work;

pub use config::Plan;
pub use forward::{attention_forward, attention_forward_ir};
pub use latent::{attention_latent, attention_latent_ir};
pub(super) use launch::{attend, choose};
pub use scores::ScoreFn;
