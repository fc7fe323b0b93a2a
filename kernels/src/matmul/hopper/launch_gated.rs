//! Gated pairs of products that Hopper's own kernel takes.

use kernelsmith::prelude::*;

use super::choice::gated_cluster;
use super::config::Product;
use super::cooperative::{BM, Form};
use super::family::Family;
use super::gated::matmul_gated;
use super::work::{is_hopper, is_written, order};
use crate::error::Error;
use crate::matmul::gated::{Combine, Gated};

/// Launches both products, of which nothing is empty, if the device is a Hopper GPU and its copy engine can
/// walk all that there is, both right factors alike.
pub(in crate::matmul) fn gated_product<W, T, O, F>(
    problem: &mut Gated<'_, T, O>,
    combine: F,
) -> Option<Result<(), Error>>
where
    W: Family<Input = T, Sum = f32>,
    T: Num,
    O: Num,
    F: Combine,
{
    let device = problem.c.device().clone();
    if !is_hopper(&device) || !is_written(&problem.c) {
        return None;
    }
    let (a_order, a) = order(problem.a, 2)?;
    let ((b_order, gate), (other, up)) = (order(problem.gate, 1)?, order(problem.up, 1)?);
    if b_order != other {
        return None;
    }
    let ([_, m, n], [_, _, k]) = (problem.c.shape(), problem.a.shape());
    let (element, size) = (size_of::<T>(), size_of::<O>());
    let along = [a_order, b_order].map(|order| order.is_along_k());
    let product = Product { batch: 1, m, n, depth: k * element, size, along, element, bare: false };
    let units = device.limits().compute_units as usize;
    let cluster = gated_cluster(&product, units);
    let tiles = m.div_ceil(BM * cluster) * cluster * n.div_ceil(W::N128::N);
    let grid = tiles.min(units / cluster * cluster).max(cluster);
    let form = Form { a: a_order, b: b_order, cluster, exchanged: false };
    let c = problem.c.reborrow();
    let launch = matmul_gated::<W::N128, T, O, 4, F>(form, combine, a, gate, up, c);
    Some(launch.grid(grid).launch(&device).map_err(Error::from))
}
