//! Products that Hopper's own kernel takes.

use kernelsmith::Target;
use kernelsmith::launch::ViewArg;
use kernelsmith::prelude::*;

use super::config;
use super::cooperative::{Order, matmul_cooperative};
use crate::error::Error;
use crate::matmul::Factor;
use crate::matmul::epilogue::Pointwise;
use crate::matmul::operand::is_unit;
use crate::matmul::problem::{B, Problem, Terms};

/// Whether a device has `wgmma`.
pub(in crate::matmul) fn is_hopper(device: &Device) -> bool {
    *device.target() == Target::sm(90, true)
}

/// Whether the copy engine can walk a view along its last axis: its elements lie next to each other,
/// everything else at multiples of 16 bytes (CUDA Driver API, `cuTensorMapEncodeTiled`).
fn walks<T: Num>(view: &ViewArg<'_, T, 3>) -> bool {
    let (shape, strides) = view.layout();
    let aligned = |axis: usize| {
        let bytes = strides[axis] * size_of::<T>();
        shape[axis] == 1 || (bytes > 0 && bytes.is_multiple_of(16))
    };
    strides[2] == 1 && aligned(0) && aligned(1) && view.address().is_multiple_of(16)
}

/// How a factor is stored whose last axis, or last but one (`k_axis`), is k; and the view in that
/// order.
fn order<'v, T: Num>(view: ViewArg<'v, T, 3>, k_axis: usize) -> Option<(Order, ViewArg<'v, T, 3>)> {
    let across = if k_axis == 2 { view.transposed() } else { view };
    let along = if k_axis == 2 { view } else { view.transposed() };
    if is_unit(&view, k_axis) && walks(&along) {
        Some((Order::AlongK, along))
    } else {
        walks(&across).then_some((Order::AcrossK, across))
    }
}

/// Launches the product, of which nothing is empty and the rows of C are contiguous, if the device
/// is a Hopper GPU and its copy engine can walk all that there is.
pub(in crate::matmul) fn product<T, O, F>(
    problem: &mut Problem<'_, T, T, O>,
    map: F,
) -> Option<Result<(), Error>>
where
    T: Factor<Sum = f32> + Float,
    O: Num,
    F: Pointwise<f32>,
    Wgmma<T, 128>: WgmmaAtom<Input = T, Sum = f32>,
    Wgmma<T, 256>: WgmmaAtom<Input = T, Sum = f32>,
{
    let device = problem.c.device().clone();
    if !is_hopper(&device) || problem.terms.steps.beta {
        return None;
    }
    let (B::Matrix(b) | B::Packed(_, b)) = problem.b;
    let (a, b) = (order(problem.a, 2)?, order(b, 1)?);
    let [batch, m, n] = problem.c.shape();
    let (shape, strides) = problem.c.layout();
    let size = size_of::<O>();
    let aligned = |axis: usize| shape[axis] == 1 || (strides[axis] * size).is_multiple_of(16);
    if !aligned(0) || !aligned(1) || !problem.c.address().is_multiple_of(16) {
        return None;
    }
    let units = device.limits().compute_units as usize;
    Some(match config::width(m, n, batch, units) {
        128 => launch::<T, O, F, 128, 6>(problem, map, a, b, units),
        _ => launch::<T, O, F, 256, 4>(problem, map, a, b, units),
    })
}

fn launch<T, O, F, const BN: usize, const STAGES: usize>(
    problem: &mut Problem<'_, T, T, O>,
    map: F,
    (a_order, a): (Order, ViewArg<'_, T, 3>),
    (b_order, b): (Order, ViewArg<'_, T, 3>),
    units: usize,
) -> Result<(), Error>
where
    T: Factor<Sum = f32> + Float,
    O: Num,
    F: Pointwise<f32>,
    Wgmma<T, BN>: WgmmaAtom<Input = T, Sum = f32>,
{
    let device = problem.c.device().clone();
    let [batch, m, n] = problem.c.shape();
    let tiles = batch * m.div_ceil(super::cooperative::BM) * n.div_ceil(BN);
    let Terms { alpha, steps, bias, residual, .. } = problem.terms;
    matmul_cooperative::<T, O, BN, STAGES, F>(
        alpha,
        a_order,
        b_order,
        steps,
        map,
        a,
        b,
        bias,
        residual,
        problem.c.reborrow(),
    )
    .grid(tiles.min(units))
    .launch(&device)?;
    Ok(())
}
