//! Products of 8-bit floats that Hopper's own kernel takes.

use kernelsmith::prelude::*;

use super::choice::scaled_cluster;
use super::config::Product;
use super::cooperative::BM;
use super::family::Family;
use super::launch::{is_hopper, is_written, walks};
use super::scaled::{ScaledForm, matmul_scaled};
use crate::error::Error;
use crate::matmul::epilogue::Pointwise;
use crate::matmul::scaled::Scaled;

/// Launches the product, of which nothing is empty, if the device is a Hopper GPU and its copy engine can
/// walk both factors along k, and C along its rows.
pub(in crate::matmul) fn scaled_product<W, T, O, F>(
    problem: &mut Scaled<'_, T, O>,
    map: F,
) -> Option<Result<(), Error>>
where
    W: Family<Input = T, Sum = f32>,
    T: Stored,
    O: Num,
    F: Pointwise<f32>,
{
    let device = problem.c.device().clone();
    let (a, b) = (problem.a, problem.b.transposed());
    if !is_hopper(&device) || !walks(&a) || !walks(&b) || !is_written(&problem.c) {
        return None;
    }
    let [_, m, n] = problem.c.shape();
    let (depth, size) = (a.shape()[2], size_of::<O>());
    let product = Product { batch: 1, m, n, depth, size, along: [true; 2], element: 1 };
    let units = device.limits().compute_units as usize;
    let cluster = scaled_cluster(&product, units);
    let tiles = m.div_ceil(BM * cluster) * cluster * n.div_ceil(W::N128::N);
    let grid = tiles.min(units / cluster * cluster).max(cluster);
    let form = ScaledForm { cluster, blocks: problem.blocks, map: problem.map };
    let (a_scales, b_scales, bias) = (problem.a_scales, problem.b_scales, problem.bias);
    let launch = matmul_scaled::<W::N128, T, O, 6, F>(
        form,
        map,
        a,
        b,
        a_scales,
        b_scales,
        bias,
        problem.c.reborrow(),
    );
    Some(launch.grid(grid).launch(&device).map_err(Error::from))
}
