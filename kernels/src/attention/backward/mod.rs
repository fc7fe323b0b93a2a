//! The backward pass of attention: Dao, "FlashAttention-2", 2023, algorithm 2.

mod bias;
mod delta;
mod gradients;
mod kernel;
mod launch;
mod plan;
mod products;
mod seen;
mod sinks;
mod tiles;
mod weights;

pub use bias::{Bias, NoBias};
pub use delta::{attention_delta, attention_delta_ir};
pub use gradients::{FlashAttentionBackward, Forward, Gradients, flash_attention_backward};
pub use kernel::{attention_backward, attention_backward_ir};
pub use plan::Tiling;
pub(super) use seen::Seen;
pub use sinks::{sink_gradients, sink_gradients_ir};
