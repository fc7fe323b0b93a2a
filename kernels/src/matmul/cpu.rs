//! The matmul of the CPU: what is packed, and what is launched.

use std::any::TypeId;

use kernelsmith::launch::ViewArg;
use kernelsmith::prelude::*;

use super::cpu_config::{CpuConfig, Plan, Right, Shape};
use super::element::Factor;
use super::low;
use super::operand::is_unit;
use super::pack::PANEL;
use super::packed::panels;
use super::panels::{Form, Layout, matmul_panels};
use super::problem::{B, Problem, Terms};
use super::tuning;
use crate::error::Error;

/// `C`, of which the rows are contiguous; nothing is empty.
pub(super) fn product<T: Factor, O: Float, F>(
    problem: &mut Problem<'_, T, O>,
    map: F,
) -> Result<(), Error>
where
    F: Fn(Val<T::Sum>) -> Val<T::Sum> + Copy + 'static,
{
    if let Some(done) = low::product(problem, map) {
        return done;
    }
    let config = tuning::choose(problem)?;
    product_by(config, problem, map)
}

/// What the cost model has to know of a product.
pub(super) fn shape<T: Factor, O: Float>(problem: &Problem<'_, T, O>) -> Shape {
    let ((m, n, k), batch) = (problem.extents(), problem.c.shape()[0]);
    let b = match problem.b {
        B::Packed(..) => Right::Packed,
        B::Matrix(b) if is_unit(&b, 2) => Right::Rows,
        B::Matrix(_) => Right::Columns,
    };
    let once = TypeId::of::<O>() != TypeId::of::<T::Sum>();
    Shape { batch, m, n, k, sum: size_of::<T::Sum>(), b, once }
}

/// The product by a configuration that its shape allows.
pub(super) fn product_by<T: Factor, O: Float, F>(
    config: CpuConfig,
    problem: &mut Problem<'_, T, O>,
    map: F,
) -> Result<(), Error>
where
    F: Fn(Val<T::Sum>) -> Val<T::Sum> + Copy + 'static,
{
    let (n, batch) = (problem.extents().1, problem.c.shape()[0]);
    match problem.b {
        B::Packed(packed, _) => {
            let panels = for_batch(packed.panels(), batch);
            launch::<T, T, O, F>(config, problem, panels, map)
        }
        B::Matrix(b) if config.layout == Layout::Rows => {
            launch::<T, T, O, F>(config, problem, b, map)
        }
        B::Matrix(b) => {
            // Of a matrix that serves the whole batch one copy is enough.
            let ([_, k, _], strides) = b.layout();
            let own = if strides[0] == 0 { 1 } else { batch };
            let once = View::of(b.data(), [own, k, n]).strides(strides);
            let packed = panels::<T, T::Sum>(once)?;
            let view = View::of(&packed, [own, n.div_ceil(PANEL), k * PANEL]);
            launch::<T, T::Sum, O, F>(config, problem, for_batch(view, batch), map)
        }
    }
}

/// One matrix as many.
fn for_batch<T: Float>(view: ViewArg<'_, T, 3>, batch: usize) -> ViewArg<'_, T, 3> {
    let ([own, panels, len], [apart, down, along]) = view.layout();
    let apart = if own == 1 { 0 } else { apart };
    View::of(view.data(), [batch, panels, len]).strides([apart, down, along])
}

fn launch<T: Factor, E: Float, O: Float, F>(
    config: CpuConfig,
    problem: &mut Problem<'_, T, O>,
    b: ViewArg<'_, E, 3>,
    map: F,
) -> Result<(), Error>
where
    F: Fn(Val<T::Sum>) -> Val<T::Sum> + Copy + 'static,
{
    let (device, batch) = (problem.c.device().clone(), problem.c.shape()[0]);
    let Plan { rows, panels, grid } = Plan::new(&config, &shape(problem), device.threads());
    let [a_rows, a_columns] = [2, 1].map(|axis| is_unit(&problem.a, axis));
    let Problem { a, c, terms, .. } = problem;
    let Terms { alpha, beta, steps, bias, residual } = *terms;
    let form = Form { a_rows, a_columns, b: config.layout, steps, tile: config.tile };
    matmul_panels::<T, E, T::Sum, O, F>(
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
