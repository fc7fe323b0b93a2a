//! Attention to latents: values are the first 512 of the keys' 576 columns (multi-head latent attention
//! with absorbed products, DeepSeek-V2, 2024, section 2.1).
//!
//! 64 rows of outputs of 512 columns fill the registers of two warpgroups, which have half of the columns
//! each (as in FlashMLA). A tile of keys is in shared memory once, and is a factor with either of its axes
//! along k: of the scores as keys, of the outputs as values. The tiles' scores and weights are the work of one
//! and the other warpgroup in turn; weights go to the other one through shared memory.

mod exchange;
mod kernel;
mod launch;
pub mod plan;

pub use kernel::{attention_latent, attention_latent_ir};
pub(super) use launch::{choose, launch};
