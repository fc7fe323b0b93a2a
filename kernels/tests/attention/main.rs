//! Attention on the CPU against its f64 reference: random shapes, values and options.

#[path = "../common/mod.rs"]
mod common;
mod errors;
mod forward;
mod helpers;
mod options;
mod sequences;
