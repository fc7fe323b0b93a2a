//! Attention.

mod backward;
mod decode;
mod flash;
mod form;
pub mod hopper;
mod online;
mod rows;
mod shape;
mod tiled;

pub use backward::*;
pub use decode::{attention_parts, attention_parts_ir, combine_parts, combine_parts_ir};
pub use flash::{FlashAttention, flash_attention, flash_attention_scored};
pub use form::{Form, ScoreMap, Unchanged};
pub use online::{OnlineSoftmax, OnlineSoftmax2};
pub use rows::{attention_rows, attention_rows_ir};
pub use shape::{Attention, HEAD_DIMENSIONS};
pub use tiled::{attention_tiled, attention_tiled_ir};
