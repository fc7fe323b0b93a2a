//! Kernels with planted bugs, each found by the interpreter: the right kind, at the right line.
//!
//! Lines are told by markers: `//~ name` ends the line where the bug `name` is to be found, and
//! `//~ name other` the line of the other side of a race or divergence.

mod bounds;
mod copies;
mod divergence;
mod environment;
mod harness;
mod hopper;
mod races;
mod tensor_memory;
mod tensor_pairs;
mod unwritten;
