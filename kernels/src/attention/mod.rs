//! Attention.

mod flash;
mod online;

pub use flash::{
    Attention, HEAD_DIMENSIONS, flash_attention, flash_attention_kernel, flash_attention_kernel_ir,
};
pub use online::OnlineSoftmax;
