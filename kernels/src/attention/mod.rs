//! Attention.

mod flash;
mod online;
mod rows;

pub use flash::{
    Attention, HEAD_DIMENSIONS, flash_attention, flash_attention_kernel, flash_attention_kernel_ir,
};
pub use online::{OnlineSoftmax, OnlineSoftmax2};
pub use rows::{attention_rows, attention_rows_ir};
