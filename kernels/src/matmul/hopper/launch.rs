//! Products that Hopper's own kernel takes.

use kernelsmith::Target;
use kernelsmith::launch::{ViewArg, ViewMutArg};
use kernelsmith::prelude::*;

use super::config::{Config, Product};
use super::cooperative::{Form, matmul_cooperative};
use super::family::Family;
use super::operand::Order;
use super::pingpong::matmul_pingpong;
use super::tuning;
use crate::error::Error;
use crate::matmul::epilogue::Pointwise;
use crate::matmul::operand::is_unit;
use crate::matmul::problem::{B, Problem, Terms};
use crate::matmul::{Factor, finish};

/// Whether a device has `wgmma`.
pub(in crate::matmul) fn is_hopper(device: &Device) -> bool {
    *device.target() == Target::sm(90, true)
}

/// Whether the copy engine can walk a view along its last axis: its elements lie next to each other,
/// everything else at multiples of 16 bytes (CUDA Driver API, `cuTensorMapEncodeTiled`).
pub(super) fn walks<T: Stored>(view: &ViewArg<'_, T, 3>) -> bool {
    let (shape, strides) = view.layout();
    let aligned = |axis: usize| {
        let bytes = strides[axis] * size_of::<T>();
        shape[axis] == 1 || (bytes > 0 && bytes.is_multiple_of(16))
    };
    strides[2] == 1 && aligned(0) && aligned(1) && view.address().is_multiple_of(16)
}

/// Whether the copy engine can write a view along its last axis.
pub(super) fn is_written<O: Num>(c: &ViewMutArg<'_, O, 3>) -> bool {
    let (shape, strides) = c.layout();
    let bytes = |axis: usize| strides[axis] * size_of::<O>();
    let aligned = |axis: usize| shape[axis] == 1 || bytes(axis).is_multiple_of(16);
    let unit = strides[2] == 1 || shape[2] == 1;
    unit && aligned(0) && aligned(1) && c.address().is_multiple_of(16)
}

/// How a factor is stored whose last axis, or last but one (`k_axis`), is k; and the view in that
/// order.
pub(super) fn order<'v, T: Num>(view: ViewArg<'v, T, 3>, k_axis: usize) -> Option<Walked<'v, T>> {
    let across = if k_axis == 2 { view.transposed() } else { view };
    let along = if k_axis == 2 { view } else { view.transposed() };
    if is_unit(&view, k_axis) && walks(&along) {
        Some((Order::AlongK, along))
    } else {
        walks(&across).then_some((Order::AcrossK, across))
    }
}

/// A factor as the copy engine walks it.
pub(super) type Walked<'v, T> = (Order, ViewArg<'v, T, 3>);

/// Launches the product, of which nothing is empty and the rows of C are contiguous, if the device
/// is a Hopper GPU and its copy engine can walk all that there is.
pub(in crate::matmul) fn product<W, T, O, F>(
    problem: &mut Problem<'_, T, T, O>,
    map: F,
) -> Option<Result<(), Error>>
where
    W: Family<Input = T, Sum = T::Sum>,
    T: Factor,
    O: Num,
    F: Pointwise<T::Sum>,
{
    let product = described(problem)?;
    let config = match tuning::choose::<W, T, O>(problem, &product).transpose()? {
        Ok(config) => config,
        Err(error) => return Some(Err(error)),
    };
    Some(by_config::<W, T, O, F>(config, problem, map))
}

/// What the model has to know of a product, if Hopper's kernels take it.
pub(super) fn described<T: Factor, O: Num>(problem: &Problem<'_, T, T, O>) -> Option<Product> {
    if !is_hopper(problem.c.device()) || problem.terms.steps.beta || !is_written(&problem.c) {
        return None;
    }
    let (a, b) = walked(problem)?;
    let ([batch, m, n], k) = (problem.c.shape(), problem.extents().2);
    let (size, element) = (size_of::<O>(), size_of::<T>());
    let along = [a.0, b.0].map(Order::is_along_k);
    Some(Product { batch, m, n, depth: k * element, size, along, element })
}

/// The factors as the copy engine walks them.
fn walked<'p, T: Factor, O: Num>(
    problem: &Problem<'p, T, T, O>,
) -> Option<(Walked<'p, T>, Walked<'p, T>)> {
    let (B::Matrix(b) | B::Packed(_, b)) = problem.b;
    Some((order(problem.a, 2)?, order(b, 1)?))
}

/// Launches the product in a way that is legal for it.
pub(super) fn by_config<W, T, O, F>(
    config: Config,
    problem: &mut Problem<'_, T, T, O>,
    map: F,
) -> Result<(), Error>
where
    W: Family<Input = T, Sum = T::Sum>,
    T: Factor,
    O: Num,
    F: Pointwise<T::Sum>,
{
    let (Some(product), Some(factors)) = (described(problem), walked(problem)) else {
        unreachable!("a way is chosen for products that are taken");
    };
    let units = problem.c.device().limits().compute_units as usize;
    let grid = config.tiles(&product).min(units / config.cluster * config.cluster);
    // A device of fewer multiprocessors than a cluster has blocks runs one all the same.
    let plan = Plan { config, grid: grid.max(config.cluster) };
    match config.parts {
        1 => by_width::<W, T, O, F>(plan, problem.terms, map, factors, problem.c.reborrow()),
        _ => in_parts::<W, T, O, F>(plan, problem, map, factors),
    }
}

/// What is launched.
#[derive(Clone, Copy)]
struct Plan {
    config: Config,
    grid: usize,
}

/// What sums are, before anything is done to them.
pub(super) fn same<S: Num>(x: Val<S>) -> Val<S> {
    x
}

/// Sums over parts of the depth first, then those of each element in their order, and the epilogue: C has
/// the same bits each time.
fn in_parts<W, T, O, F>(
    plan: Plan,
    problem: &mut Problem<'_, T, T, O>,
    map: F,
    factors: (Walked<'_, T>, Walked<'_, T>),
) -> Result<(), Error>
where
    W: Family<Input = T, Sum = T::Sum>,
    T: Factor,
    O: Num,
    F: Pointwise<T::Sum>,
{
    let [batch, m, n] = problem.c.shape();
    let parts = plan.config.parts;
    // Rows that the copy engine can write: of a multiple of 16 bytes.
    let row = n.next_multiple_of(16 / size_of::<T::Sum>());
    let matrix = m * row;
    // SAFETY: every element that is read is written before.
    let mut sums = unsafe { Buffer::<T::Sum>::uninit(problem.c.device(), batch * parts * matrix) }?;
    let to = View::of_mut(&mut sums, [batch * parts, m, n]).strides([matrix, row, 1]);
    by_width::<W, T, T::Sum, _>(plan, Terms::default(), same::<T::Sum>, factors, to)?;
    let strides = [parts * matrix, matrix, row, 1];
    let sums = View::of(&sums, [batch, parts, m, n]).strides(strides);
    finish::finish_parts(problem.terms, map, sums, problem.c.reborrow())
}

/// Launches the kernel of the width that was chosen.
fn by_width<W, T, O, F>(
    plan: Plan,
    terms: Terms<'_, T::Sum, O>,
    map: F,
    factors: (Walked<'_, T>, Walked<'_, T>),
    c: ViewMutArg<'_, O, 3>,
) -> Result<(), Error>
where
    W: Family<Input = T, Sum = T::Sum>,
    T: Factor,
    O: Num,
    F: Pointwise<T::Sum>,
{
    // The stages are those of `config::WIDTHS`.
    match plan.config.width {
        16 => launch::<W::N16, T, O, F, 12>(plan, terms, map, factors, c),
        32 => launch::<W::N32, T, O, F, 10>(plan, terms, map, factors, c),
        64 => launch::<W::N64, T, O, F, 8>(plan, terms, map, factors, c),
        128 if plan.config.pingpong => {
            launch_pingpong::<W::N128, T, O, F, 6>(plan, terms, map, factors, c)
        }
        128 => launch::<W::N128, T, O, F, 6>(plan, terms, map, factors, c),
        192 => launch::<W::N192, T, O, F, 5>(plan, terms, map, factors, c),
        _ => launch::<W::N256, T, O, F, 4>(plan, terms, map, factors, c),
    }
}

fn launch<W, T, O, F, const STAGES: usize>(
    Plan { config, grid }: Plan,
    terms: Terms<'_, T::Sum, O>,
    map: F,
    (a, b): (Walked<'_, T>, Walked<'_, T>),
    c: ViewMutArg<'_, O, 3>,
) -> Result<(), Error>
where
    W: WgmmaAtom<Input = T, Sum = T::Sum>,
    T: Factor,
    O: Num,
    F: Pointwise<T::Sum>,
{
    let device = c.device().clone();
    let Config { cluster, parts, exchanged, group, .. } = config;
    let Terms { alpha, steps, bias, residual, .. } = terms;
    let ((a_order, a), (b_order, b)) = if exchanged { (b, a) } else { (a, b) };
    let form = Form { a: a_order, b: b_order, cluster, exchanged };
    matmul_cooperative::<W, T, T::Sum, O, STAGES, F>(
        alpha,
        parts,
        group / cluster,
        form,
        steps,
        map,
        a,
        b,
        bias,
        residual,
        c,
    )
    .grid(grid)
    .launch(&device)?;
    Ok(())
}

fn launch_pingpong<W, T, O, F, const STAGES: usize>(
    Plan { config, grid }: Plan,
    terms: Terms<'_, T::Sum, O>,
    map: F,
    ((a_order, a), (b_order, b)): (Walked<'_, T>, Walked<'_, T>),
    c: ViewMutArg<'_, O, 3>,
) -> Result<(), Error>
where
    W: WgmmaAtom<Input = T, Sum = T::Sum>,
    T: Factor,
    O: Num,
    F: Pointwise<T::Sum>,
{
    let device = c.device().clone();
    let Terms { alpha, steps, bias, residual, .. } = terms;
    let Config { cluster, group, .. } = config;
    let form = Form { a: a_order, b: b_order, cluster, exchanged: false };
    matmul_pingpong::<W, T, T::Sum, O, STAGES, F>(
        alpha,
        group / cluster,
        form,
        steps,
        map,
        a,
        b,
        bias,
        residual,
        c,
    )
    .grid(grid)
    .launch(&device)?;
    Ok(())
}
