//! The library's kernels by name, for `kernelsmith emit`, tests and reports.

use kernelsmith::ir::Kernel;
use kernelsmith::lang::Val;
use kernelsmith::prelude::Float;
use kernelsmith::{Machine, StagingError, Target, bf16};

use crate::activation::swiglu;
use crate::attention::config::Tile;
use crate::attention::{
    self, Form, RowsTile, Tiling, attention_backward_ir, attention_delta_ir, attention_parts_ir,
    attention_rows_ir, attention_tiled_ir, combine_parts_ir, sink_gradients_ir,
};
use crate::elementwise::{saxpy_kernel_ir, sum_parts_kernel_ir, zip_map_kernel_ir};
use crate::embedding::{embedding_gradient_kernel_ir, embedding_kernel_ir};
use crate::loss::{cross_entropy_gradient_kernel_ir, cross_entropy_kernel_ir};
use crate::matmul::{
    self, Factor, Layout, Products, Steps, TileSize, Words, config, matmul_panels_ir,
    matmul_tiled_ir,
};
use crate::norm::{
    layer_norm_backward_kernel_ir, layer_norm_kernel_ir, rms_norm_backward_kernel_ir,
    rms_norm_kernel_ir, softmax_backward_kernel_ir, softmax_capacity, softmax_kernel_ir,
};
use crate::optimizer::adam_kernel_ir;
use crate::quant::{Format, quantize_rows_ir, quantized_gemm_ir, quantized_gemv_ir};
use crate::reduce::{
    Extreme, Reduction, Step, extreme_columns_kernel_ir, extreme_rows_kernel_ir,
    reduce_columns_kernel_ir, reduce_rows_kernel_ir,
};
use crate::rope::{self, rope_kernel_ir};
use crate::sampling::{self, sample_kernel_ir, top_k_kernel_ir};
use crate::scan::{self, Scan, scan_rows_kernel_ir, scan_totals_kernel_ir};

/// A kernel of the library, with its tile sizes for a target.
#[derive(Clone, Copy)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// One line on what it computes.
    pub about: &'static str,
    /// Its IR for a target, before any pass.
    pub ir: fn(&Target) -> Result<Kernel, StagingError>,
}

/// Every kernel.
pub const KERNELS: &[Entry] = &[
    Entry { name: "saxpy", about: "y = a * x + y, f32", ir: saxpy_kernel_ir::<f32> },
    Entry { name: "softmax", about: "softmax of each row of up to 4096, f32", ir: softmax },
    Entry {
        name: "rms_norm",
        about: "root-mean-square norm of each row, f32",
        ir: rms_norm_kernel_ir::<f32>,
    },
    Entry {
        name: "layer_norm",
        about: "layer norm of each row, bf16",
        ir: layer_norm_kernel_ir::<bf16>,
    },
    Entry {
        name: "rms_norm_backward",
        about: "the gradients of a root-mean-square norm, f32",
        ir: rms_norm_backward_kernel_ir::<f32>,
    },
    Entry {
        name: "layer_norm_backward",
        about: "the gradients of a layer norm, bf16",
        ir: layer_norm_backward_kernel_ir::<bf16>,
    },
    Entry {
        name: "softmax_backward",
        about: "the gradient of softmax of each row, f32",
        ir: softmax_backward_kernel_ir,
    },
    Entry { name: "matmul_f32", about: "C = A * B, f32", ir: matmul::<f32> },
    Entry { name: "matmul_bf16", about: "C = A * B, bf16 with f32 sums", ir: matmul::<bf16> },
    Entry { name: "matmul_i8", about: "C = A * B, i8 with i32 sums", ir: matmul::<i8> },
    Entry {
        name: "flash_attention",
        about: "causal attention of one head of dimension 64, f32",
        ir: attention,
    },
    Entry {
        name: "flash_attention_bf16",
        about: "causal attention of one head of dimension 64, bf16, in pairs on CPUs",
        ir: attention_of_bf16,
    },
    Entry {
        name: "attention_parts",
        about: "causal attention of four heads' queries to parts of the keys, dimension 64, bf16",
        ir: attention_of_few,
    },
    Entry {
        name: "combine_parts",
        about: "the outputs of attention from those of parts of the keys, dimension 64",
        ir: |target| combine_parts_ir::<f32>(target, 64, true, false, true, true),
    },
    Entry {
        name: "attention_backward",
        about: "the gradients of causal attention by Q, K and V, dimension 64, f32",
        ir: attention_backward,
    },
    Entry {
        name: "attention_delta",
        about: "what a softmax takes off the gradients of its weights, f32",
        ir: attention_delta_ir::<f32>,
    },
    Entry {
        name: "sink_gradients",
        about: "the gradients by attention's sinks, f32",
        ir: sink_gradients_ir,
    },
    Entry { name: "sum_parts", about: "the sum of parts as bf16", ir: sum_parts_kernel_ir::<bf16> },
    Entry {
        name: "quantize_rows",
        about: "activations as bytes with a scale for each 32, f32",
        ir: |target| quantize_rows_ir::<f32>(target, 1),
    },
    Entry {
        name: "gemv_q8_0",
        about: "Y = X * W' of one row and weights in Q8_0",
        ir: |target| quantized_gemv_ir::<1>(target, Format::Q8_0.layout()),
    },
    Entry {
        name: "gemv_q4_k",
        about: "Y = X * W' of one row and weights in Q4_K",
        ir: |target| quantized_gemv_ir::<1>(target, Format::Q4K.layout()),
    },
    Entry {
        name: "gemm_q6_k",
        about: "Y = X * W' of rows by six and weights in Q6_K",
        ir: |target| quantized_gemm_ir::<6>(target, Format::Q6K.layout()),
    },
    Entry {
        name: "swiglu",
        about: "y = silu(a) * b, bf16",
        ir: |target| {
            zip_map_kernel_ir::<bf16, bf16, f32, f32, f32, bf16, _>(target, true, swiglu::<f32>)
        },
    },
    Entry {
        name: "reduce_rows",
        about: "the greatest element of each row, f32",
        ir: |target| {
            let step = Step { first: true, last: true };
            reduce_rows_kernel_ir::<f32, f32, f32>(target, Reduction::Max, step)
        },
    },
    Entry {
        name: "reduce_columns",
        about: "the sum of each column, bf16 in f32",
        ir: |target| {
            let step = Step { first: true, last: false };
            reduce_columns_kernel_ir::<bf16, f32, f32>(target, Reduction::Sum, step)
        },
    },
    Entry {
        name: "extreme_rows",
        about: "the greatest element of each row and its place, f32",
        ir: |target| extreme_rows_kernel_ir::<f32>(target, Extreme::Max, false),
    },
    Entry {
        name: "extreme_columns",
        about: "the greatest element of each column and its place, f32",
        ir: |target| extreme_columns_kernel_ir::<f32>(target, Extreme::Max),
    },
    Entry {
        name: "scan_rows",
        about: "running sums of each row, f32",
        ir: |target| {
            let form = scan::Form { scan: Scan::Inclusive, sum: true, compensated: true };
            scan_rows_kernel_ir::<f32, f32, f32, _>(target, form, true, |a, b| a + b, true)
        },
    },
    Entry {
        name: "scan_totals",
        about: "what running results of chunks of a row begin with, f32",
        ir: |target| {
            let form = scan::Form { scan: Scan::Inclusive, sum: true, compensated: true };
            scan_totals_kernel_ir::<f32, f32, _>(target, form, |a, b| a + b)
        },
    },
    Entry {
        name: "rope",
        about: "rotary embedding of heads of dimension 128, bf16",
        ir: |target| {
            let form = rope::Form { interleaved: false, inverse: false, capacity: 64 };
            rope_kernel_ir::<bf16>(target, form, true, true)
        },
    },
    Entry {
        name: "rope_interleaved",
        about: "rotary embedding of neighbouring columns in place, f32",
        ir: |target| {
            let form = rope::Form { interleaved: true, inverse: false, capacity: 128 };
            rope_kernel_ir::<f32>(target, form, false, false)
        },
    },
    Entry {
        name: "embedding",
        about: "rows of a table by their numbers, bf16",
        ir: |target| embedding_kernel_ir::<bf16>(target, true),
    },
    Entry {
        name: "embedding_gradient",
        about: "rows added to those of a table by their numbers, bf16 in f32",
        ir: embedding_gradient_kernel_ir::<bf16, f32>,
    },
    Entry {
        name: "cross_entropy",
        about: "cross-entropy of each row with a class, bf16",
        ir: |target| cross_entropy_kernel_ir::<bf16>(target, false),
    },
    Entry {
        name: "cross_entropy_gradient",
        about: "the gradient of the cross-entropy of each row, bf16",
        ir: |target| cross_entropy_gradient_kernel_ir::<bf16>(target, true, true),
    },
    Entry {
        name: "adam",
        about: "a step of AdamW, bf16 parameters and f32 moments",
        ir: adam_kernel_ir::<bf16, bf16>,
    },
    Entry {
        name: "top_k",
        about: "up to 64 greatest elements of each row and their places, f32",
        ir: |target| top_k_kernel_ir::<f32>(target, 64),
    },
    Entry {
        name: "sample",
        about: "a token for each row of logits by top-p or min-p, bf16",
        ir: |target| {
            let form = sampling::Form { most: 256, limited: false };
            sample_kernel_ir::<bf16>(target, form, false)
        },
    },
];

/// The kernel of that name.
pub fn find(name: &str) -> Option<&'static Entry> {
    KERNELS.iter().find(|entry| entry.name == name)
}

fn matmul<T: Factor>(target: &Target) -> Result<Kernel, StagingError> {
    use config::GPU;
    let (steps, map) = (Steps::default(), |x: Val<T::Sum>| x);
    match target {
        Target::Cpu => {
            let (a_rows, b) = (true, Layout::Panels);
            let tile = TileSize { rows: 64, depth: 1024 };
            let form = matmul::Form { a_rows, a_columns: false, b, whole: true, steps, tile };
            matmul_panels_ir::<T, RightWord<T>, T::Native, T::Sum, T::Sum, _>(
                target, form, map, false, false,
            )
        }
        _ => matmul_tiled_ir::<
            T,
            T,
            T::Sum,
            T::Sum,
            { GPU.bm },
            { GPU.bn },
            { GPU.bk },
            { GPU.tm },
            { GPU.tn },
            _,
        >(target, false, false, steps, map, false, false),
    }
}

/// What stands in packed panels where CPUs have instructions for a type.
type RightWord<T> = <<<T as Factor>::Native as Products>::Right as Words>::Word;

fn softmax(target: &Target) -> Result<Kernel, StagingError> {
    softmax_kernel_ir(target, softmax_capacity(target, &Machine::default(), 4096))
}

fn attention_of_few(target: &Target) -> Result<Kernel, StagingError> {
    let same = |score, _, _, _| score;
    attention_parts_ir::<bf16, bf16, f32, _>(
        target, 64, 64, 4, APART, CAUSAL, same, false, false, false, false,
    )
}

fn attention(target: &Target) -> Result<Kernel, StagingError> {
    match target {
        Target::Cpu => attention_by_rows::<f32, f32>(target),
        _ => attention_by_tiles::<f32>(target),
    }
}

fn attention_of_bf16(target: &Target) -> Result<Kernel, StagingError> {
    match target {
        Target::Cpu => attention_by_rows::<bf16, u32>(target),
        _ => attention_by_tiles::<bf16>(target),
    }
}

/// Sequences of one length, which do not follow each other.
const APART: attention::Apart = attention::Apart { queries: true, keys: true };

const CAUSAL: Form = Form { causal: true, windowed: false, capped: false, scored: false };

/// Of elements `T` that are multiplied as words `W`.
fn attention_by_rows<T: Float, W: attention::Words>(
    target: &Target,
) -> Result<Kernel, StagingError> {
    let same = |score, _, _, _| score;
    let none = false;
    let tile = RowsTile::USUAL;
    attention_rows_ir::<T, W, W, f32, _>(
        target, 64, 64, tile, CAUSAL, same, none, none, none, none, true,
    )
}

fn attention_by_tiles<T: Float>(target: &Target) -> Result<Kernel, StagingError> {
    let (same, none) = (|score, _, _, _| score, false);
    let tile = Tile::of(64, 64);
    attention_tiled_ir::<T, T, f32, _>(
        target, 64, 64, tile, APART, CAUSAL, same, none, none, none, none, true,
    )
}

fn attention_backward(target: &Target) -> Result<Kernel, StagingError> {
    let (_, tiling) = Tiling::new(target, 64, 64);
    attention_backward_ir::<f32, 32, _>(target, tiling, CAUSAL, |score, _, _, _| score)
}
