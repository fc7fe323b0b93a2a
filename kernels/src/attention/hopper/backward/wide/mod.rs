//! The backward pass of heads of more than 128 columns: dK and dV of 128 keys have no room in registers, so a block
//! owns 64 keys, and each warpgroup has half of the columns of dK, dV and dQ.

mod kernel;
mod step;

pub use kernel::{attention_gradients_wide, attention_gradients_wide_ir};
