//! What threads do together: warps, blocks, shared memory, atomics, prints and assertions; and the
//! conversions of 8-bit floats. Run on the CPU, by the interpreter and the emulator of PTX, and
//! compiled for every target.

mod atomics;
mod blocks;
mod eighths;
mod harness;
mod printing;
mod sharing;
mod streaming;
mod tensor_maps;
mod warps;
