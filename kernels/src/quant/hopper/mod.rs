//! Products with quantised weights on Hopper: integers of 4 and 8 bits become the left factor of `wgmma` in
//! registers, activations of 16 bits are the right one in shared memory.

mod config;
mod decode;
mod fragments;
mod launch;
mod product;

pub use config::{Config, WIDTHS, choose};
pub use fragments::Form;
pub(super) use fragments::{pack, unpack};
pub(super) use launch::{is_hopper, product};
pub use product::{quantized_wgmma, quantized_wgmma_ir};
