//! Products with quantised weights: the blocks of GGUF files, and integers of 4 bits in groups.
//!
//! Weights are `W: n x k`, row-major, as GGUF has them: `Y = X * W'` of `X: m x k`. They are packed once,
//! when they are loaded ([`QuantizedMatrix`]), into panels of 32 rows whose words are interleaved: a
//! warp's lanes read 32 rows at a time from front to back, and `dot4` needs no sums across lanes. It takes
//! as much memory as the file, and the file's bytes can be had back.
//!
//! Activations are quantised as they come, 32 at a time to bytes with a scale ([`quantize_rows`]), which
//! is what llama.cpp does. Products of bytes are summed exactly, and scaled and added up in f32.
//!
//! On Hopper, Q4_0, Q8_0 and integers of 4 and 8 bits in groups are multiplied by tensor cores ([`hopper`]):
//! weights are turned into floats of 16 bits on their way, activations are not quantised.
//!
//! # Accuracy
//! A weight is what the file says, exactly. An activation `x` becomes a multiple of `a / 127`, `a` the
//! greatest magnitude of its 32, and so is off by `a / 254` at most; what that makes of the result is the
//! sum over all weights of `|w| * a / 254`, and is the most of the error. A NaN or an infinity among the
//! activations of a row makes all results of the row NaN; activations below 1e-36 may count as 0.
//!
//! By Hopper's tensor cores, weights are rounded to the type of the activations, bf16 unless they are f16, and
//! other activations to bf16: each of these roundings is off by 2^-8 at most, by 2^-11 in f16; scales of weights of
//! 4 bits are rounded to bf16 besides, another 2^-8. Products are summed in f32. What is no number in one
//! activation or weight spreads to the results that it is part of.

mod activations;
pub mod block;
mod decode;
mod format;
mod gemm;
mod gemv;
pub mod hopper;
mod int4;
mod int8;
mod matrix;
mod multiply;
mod pack;
mod plain;

pub use activations::{quantize_rows, quantize_rows_ir};
pub use format::{Format, Layout, Packing};
pub use gemm::{quantized_gemm, quantized_gemm_ir};
pub use gemv::{quantized_gemv, quantized_gemv_ir};
pub use int4::{Int4Order, Int4Tensors};
pub use int8::Int8Tensors;
pub use matrix::QuantizedMatrix;
pub use multiply::quantized_matmul;
