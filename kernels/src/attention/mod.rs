//! Attention.

mod backward;
mod builder;
mod combine;
pub mod config;
mod decode;
mod decode_tiles;
mod flash;
mod form;
mod gather;
pub mod hopper;
mod key_sums;
mod launch;
mod lengths;
mod online;
mod operand;
mod rows;
mod shape;
mod tiled;
mod words;

pub use backward::*;
pub use builder::FlashAttention;
pub use combine::{combine_parts, combine_parts_ir};
pub use config::HEAD_DIMENSIONS;
pub use decode::{attention_parts, attention_parts_ir};
pub use flash::{flash_attention, flash_attention_scored};
pub use form::{Form, ScoreMap, Unchanged};
pub use gather::{gather_rows, gather_rows_ir};
pub use lengths::Apart;
pub use online::{OnlineSoftmax, OnlineSoftmax2};
pub use operand::{Heads, HeadsMut};
pub use rows::{attention_rows, attention_rows_ir};
pub use shape::Attention;
pub use tiled::{attention_tiled, attention_tiled_ir};
pub use words::Words;
