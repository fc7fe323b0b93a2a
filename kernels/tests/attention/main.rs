//! Attention on the CPU against its f64 reference: random shapes, values and options.

mod errors;
mod forward;
mod helpers;
mod options;
mod sequences;
