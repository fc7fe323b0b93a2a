//! The library's kernels by name, for `kernelsmith emit`, tests and reports.

use kernelsmith::ir::Kernel;
use kernelsmith::lang::Val;
use kernelsmith::{Machine, StagingError, Target, bf16};

use crate::attention::config::Tile;
use crate::attention::{
    Form, Tiling, attention_backward_ir, attention_delta_ir, attention_parts_ir, attention_rows_ir,
    attention_tiled_ir, combine_parts_ir,
};
use crate::elementwise::{saxpy_kernel_ir, sum_parts_kernel_ir};
use crate::matmul::{
    self, Factor, Layout, Steps, TileSize, config, matmul_panels_ir, matmul_tiled_ir,
};
use crate::norm::{
    layer_norm_backward_kernel_ir, layer_norm_kernel_ir, rms_norm_backward_kernel_ir,
    rms_norm_kernel_ir, softmax_backward_kernel_ir, softmax_capacity, softmax_kernel_ir,
};
use crate::quant::{Format, quantize_rows_ir, quantized_gemm_ir, quantized_gemv_ir};

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
    Entry {
        name: "flash_attention",
        about: "causal attention of one head of dimension 64, f32",
        ir: attention,
    },
    Entry {
        name: "attention_parts",
        about: "causal attention of single queries to parts of the keys, dimension 64, bf16",
        ir: attention_of_few,
    },
    Entry {
        name: "combine_parts",
        about: "the outputs of attention from those of parts of the keys, dimension 64",
        ir: |target| combine_parts_ir::<f32>(target, 64, false, true, true),
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
            let tile = TileSize { rows: 64, depth: 1024 };
            let form =
                matmul::Form { a_rows: true, a_columns: false, b: Layout::Panels, steps, tile };
            matmul_panels_ir::<T, T::Sum, T::Sum, T::Sum, _>(target, form, map, false, false)
        }
        _ => matmul_tiled_ir::<
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

fn softmax(target: &Target) -> Result<Kernel, StagingError> {
    softmax_kernel_ir(target, softmax_capacity(target, &Machine::default(), 4096))
}

fn attention_of_few(target: &Target) -> Result<Kernel, StagingError> {
    let form = Form { causal: true, windowed: false, capped: false, scored: false };
    let same = |score, _, _, _| score;
    attention_parts_ir::<bf16, bf16, _>(target, 64, form, same, false, false, false, false)
}

fn attention(target: &Target) -> Result<Kernel, StagingError> {
    let form = Form { causal: true, windowed: false, capped: false, scored: false };
    let same = |score, _, _, _| score;
    match target {
        Target::Cpu => {
            let none = false;
            attention_rows_ir::<f32, f32, f32, f32, _>(
                target, 64, form, same, none, none, none, none, true,
            )
        }
        _ => attention_tiled_ir::<f32, f32, f32, _>(
            target,
            64,
            Tile::of(64),
            form,
            same,
            false,
            false,
            false,
            false,
            true,
        ),
    }
}

fn attention_backward(target: &Target) -> Result<Kernel, StagingError> {
    let form = Form { causal: true, windowed: false, capped: false, scored: false };
    let (_, tiling) = Tiling::new(target, 64);
    attention_backward_ir::<f32, 32, _>(target, tiling, form, |score, _, _, _| score)
}
