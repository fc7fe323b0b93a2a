//! The matmul of the CPU: what is packed, and what is launched.

use std::any::TypeId;

use kernelsmith::launch::ViewArg;
use kernelsmith::prelude::*;

use super::cpu_config::{self, CpuConfig, Plan, Right, Shape};
use super::element::Factor;
use super::epilogue::Pointwise;
use super::low;
use super::operand::is_unit;
use super::pack::PANEL;
use super::packed::panels;
use super::panels::{Form, Layout, matmul_panels};
use super::problem::{B, Problem, Terms};
use super::products::{Products, Words};
use super::tuning;
use crate::error::Error;

/// `C`, of which the rows are contiguous; nothing is empty.
pub(super) fn product<T: Factor<U>, U: Num, O: Num, F>(
    problem: &mut Problem<'_, T, U, O>,
    map: F,
) -> Result<(), Error>
where
    F: Pointwise<T::Sum>,
{
    if let Some(done) = low::product(problem, map) {
        return done;
    }
    let config = tuning::choose(problem)?;
    product_by(config, problem, map)
}

/// Elements of a word.
pub(super) fn word_len<T: Factor<U>, U: Num>(device: &Device) -> usize {
    match T::is_native(device) {
        true => <T::Native as Products>::Left::LEN,
        false => <T::Plain as Products>::Left::LEN,
    }
}

/// Columns of A up to which C is written once, whatever the machine.
pub(super) fn deepest<T: Factor<U>, U: Num>(device: &Device) -> usize {
    cpu_config::deepest::<T::Sum>() * word_len::<T, U>(device)
}

/// What the cost model has to know of a product: its depth is that in words.
pub(super) fn shape<T: Factor<U>, U: Num, O: Num>(problem: &Problem<'_, T, U, O>) -> Shape {
    let ((m, n, k), batch) = (problem.extents(), problem.c.shape()[0]);
    let b = match problem.b {
        B::Packed(..) => Right::Packed,
        B::Matrix(b) if is_unit(&b, 2) => Right::Rows,
        B::Matrix(_) => Right::Columns,
    };
    let once = TypeId::of::<O>() != TypeId::of::<T::Sum>();
    let k = k.div_ceil(word_len::<T, U>(problem.c.device()));
    Shape { batch, m, n, k, sum: size_of::<T::Sum>(), b, once }
}

/// The product by a configuration that its shape allows.
pub(super) fn product_by<T: Factor<U>, U: Num, O: Num, F>(
    config: CpuConfig,
    problem: &mut Problem<'_, T, U, O>,
    map: F,
) -> Result<(), Error>
where
    F: Pointwise<T::Sum>,
{
    match T::is_native(problem.c.device()) {
        true => product_of::<T, U, T::Native, O, F>(config, problem, map),
        false => product_of::<T, U, T::Plain, O, F>(config, problem, map),
    }
}

/// [`product_by`], with products as `D` takes them.
fn product_of<T: Factor<U>, U: Num, D: Products<Sum = T::Sum>, O: Num, F>(
    config: CpuConfig,
    problem: &mut Problem<'_, T, U, O>,
    map: F,
) -> Result<(), Error>
where
    F: Pointwise<T::Sum>,
{
    type Word<D> = <<D as Products>::Right as Words>::Word;
    let batch = problem.c.shape()[0];
    match problem.b {
        B::Packed(packed, _) if D::Right::LEN == 1 => {
            let panels = for_batch(packed.panels::<U>(1)?, batch);
            launch::<T, U, U, D, O, F>(config, problem, panels, map)
        }
        B::Packed(packed, _) => {
            let panels = for_batch(packed.panels::<Word<D>>(D::Right::LEN)?, batch);
            launch::<T, U, Word<D>, D, O, F>(config, problem, panels, map)
        }
        B::Matrix(b) if config.layout == Layout::Rows => {
            launch::<T, U, U, D, O, F>(config, problem, b, map)
        }
        B::Matrix(b) => {
            // Of a matrix that serves the whole batch one copy is enough.
            let ([_, k, n], strides) = b.layout();
            let own = if strides[0] == 0 { 1 } else { batch };
            let once = View::of(b.data(), [own, k, n]).strides(strides);
            let packed = panels::<U, Word<D>, D::Right>(once)?;
            let shape = [own, n.div_ceil(PANEL), k.div_ceil(D::Right::LEN) * PANEL];
            let view = for_batch(View::of(&packed, shape), batch);
            launch::<T, U, Word<D>, D, O, F>(config, problem, view, map)
        }
    }
}

/// One matrix as many.
fn for_batch<T: Num>(view: ViewArg<'_, T, 3>, batch: usize) -> ViewArg<'_, T, 3> {
    let ([own, panels, len], [apart, down, along]) = view.layout();
    let apart = if own == 1 { 0 } else { apart };
    View::of(view.data(), [batch, panels, len]).strides([apart, down, along])
}

fn launch<T: Factor<U>, U: Num, E: Num, D: Products<Sum = T::Sum>, O: Num, F>(
    config: CpuConfig,
    problem: &mut Problem<'_, T, U, O>,
    b: ViewArg<'_, E, 3>,
    map: F,
) -> Result<(), Error>
where
    F: Pointwise<T::Sum>,
{
    let (device, batch) = (problem.c.device().clone(), problem.c.shape()[0]);
    let Plan { rows, panels, grid } = Plan::new(&config, &shape(problem), device.threads());
    let [a_rows, a_columns] = [2, 1].map(|axis| is_unit(&problem.a, axis));
    let whole = problem.extents().2.is_multiple_of(D::Left::LEN);
    let Problem { a, c, terms, .. } = problem;
    let Terms { alpha, beta, steps, bias, residual, .. } = *terms;
    let form = Form { a_rows, a_columns, b: config.layout, whole, steps, tile: config.tile };
    matmul_panels::<T, E, D, D::Sum, O, F>(
        rows,
        panels,
        alpha,
        beta,
        form,
        map,
        *a,
        b,
        bias,
        residual,
        c.reborrow(),
    )
    .grid((grid.0, grid.1, batch))
    .launch(&device)?;
    Ok(())
}
