//! Attention.

mod flash;
mod form;
mod online;
mod rows;
mod shape;
mod tiled;

pub use flash::{flash_attention, flash_attention_scored};
pub use form::Form;
pub use online::{OnlineSoftmax, OnlineSoftmax2};
pub use rows::{attention_rows, attention_rows_ir};
pub use shape::{Attention, HEAD_DIMENSIONS};
pub use tiled::{attention_tiled, attention_tiled_ir};
