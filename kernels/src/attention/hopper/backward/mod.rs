//! The backward pass of attention on Hopper: blocks own keys, hold dK and dV in registers, and add to dQ.

pub mod config;
mod copies;
mod kernel;
mod launch;
mod partial;
mod prepare;
mod step;
mod sums;
mod weights;
mod wide;
mod work;

pub use kernel::{attention_gradients, attention_gradients_ir};
pub(in crate::attention) use launch::{Call, choose, run};
pub use partial::{ordered_sums, ordered_sums_ir};
pub use prepare::{attention_statistics, attention_statistics_ir};
pub use wide::{attention_gradients_wide, attention_gradients_wide_ir};
