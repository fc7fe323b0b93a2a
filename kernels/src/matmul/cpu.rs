//! The matmul of the CPU: what is packed, and how C is cut into blocks.

use kernelsmith::prelude::*;

use super::element::Factor;
use super::operand::is_unit;
use super::pack::PANEL;
use super::packed::panels;
use super::panels::{Form, Layout, ROWS, matmul_panels};
use super::problem::{B, Problem, Terms};
use crate::error::Error;
use kernelsmith::launch::ViewArg;

/// Columns of A that a block copies at a time, for small products and for others: less memory is fewer
/// pages.
const SHORT: usize = 128;
const LONG: usize = 1024;

/// As many bytes of f64.
const LONG_F64: usize = LONG / 2;

/// Columns of A up to which C is written once.
pub(super) const fn deepest<S>() -> usize {
    if size_of::<S>() == 8 { LONG_F64 } else { LONG }
}

/// Multiply-adds of a block at least, where there is a choice: about 10 us.
const LEAST_WORK: usize = 1 << 19;

/// How a product is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Plan {
    layout: Layout,
    /// Rows and panels of a block.
    rows: usize,
    panels: usize,
    /// Blocks along the columns and rows of C.
    grid: (usize, usize),
}

impl Plan {
    /// For a batch of products and as many threads. B can be read as it is if its rows are contiguous.
    fn new(batch: usize, (m, n, k): (usize, usize, usize), readable: bool, threads: usize) -> Plan {
        let all = n.div_ceil(PANEL);
        // Strips of rows as even as they get in steps of the least number of sums.
        let strips = m.div_ceil(ROWS);
        let rows = m.div_ceil(strips).next_multiple_of(4);
        let strips = m.div_ceil(rows);
        // Each thread should have a few blocks, so that none waits long for another's last, but a block
        // some microseconds of work, so that small products pay for no help.
        let work = (m * n).saturating_mul(k).saturating_mul(batch) / LEAST_WORK;
        let blocks = work.clamp(1, 4 * threads);
        let cuts = blocks.div_ceil(strips.saturating_mul(batch)).min(all);
        let panels = all.div_ceil(cuts);
        // Packing pays once each panel is read often, or where rows are far apart.
        let layout = match readable && (m < 3 * ROWS || n * k <= 1 << 14) {
            true => Layout::Rows,
            false => Layout::Panels,
        };
        Plan { layout, rows, panels, grid: (all.div_ceil(panels), strips) }
    }
}

/// `C`, of which the rows are contiguous; nothing is empty.
pub(super) fn product<T: Factor, O: Float, F>(
    problem: &mut Problem<'_, T, O>,
    map: F,
) -> Result<(), Error>
where
    F: Fn(Val<T::Sum>) -> Val<T::Sum> + Copy + 'static,
{
    let threads = problem.c.device().limits().compute_units as usize;
    let (extents, batch) = (problem.extents(), problem.c.shape()[0]);
    let plan = |readable| Plan::new(batch, extents, readable, threads);
    match problem.b {
        B::Packed(packed, _) => {
            let panels = for_batch(packed.panels(), batch);
            launch::<T, T, O, F>(plan(false), problem, panels, map)
        }
        B::Matrix(b) => {
            let plan = plan(is_unit(&b, 2));
            if plan.layout == Layout::Rows {
                return launch::<T, T, O, F>(plan, problem, b, map);
            }
            // Of a matrix that serves the whole batch one copy is enough.
            let ([_, k, n], strides) = b.layout();
            let own = if strides[0] == 0 { 1 } else { batch };
            let once = View::of(b.data(), [own, k, n]).strides(strides);
            let packed = panels::<T, T::Sum>(once)?;
            let view = View::of(&packed, [own, n.div_ceil(PANEL), k * PANEL]);
            launch::<T, T::Sum, O, F>(plan, problem, for_batch(view, batch), map)
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
    plan: Plan,
    problem: &mut Problem<'_, T, O>,
    b: ViewArg<'_, E, 3>,
    map: F,
) -> Result<(), Error>
where
    F: Fn(Val<T::Sum>) -> Val<T::Sum> + Copy + 'static,
{
    let k = problem.extents().2;
    match (k <= SHORT, size_of::<T::Sum>()) {
        (true, _) => launch_of::<T, E, O, F, SHORT>(plan, problem, b, map),
        (false, 8) => launch_of::<T, E, O, F, LONG_F64>(plan, problem, b, map),
        (false, _) => launch_of::<T, E, O, F, LONG>(plan, problem, b, map),
    }
}

fn launch_of<T: Factor, E: Float, O: Float, F, const BK: usize>(
    plan: Plan,
    problem: &mut Problem<'_, T, O>,
    b: ViewArg<'_, E, 3>,
    map: F,
) -> Result<(), Error>
where
    F: Fn(Val<T::Sum>) -> Val<T::Sum> + Copy + 'static,
{
    let Plan { layout, rows, panels, grid: (across, down) } = plan;
    let (device, batch) = (problem.c.device().clone(), problem.c.shape()[0]);
    let [a_rows, a_columns] = [2, 1].map(|axis| is_unit(&problem.a, axis));
    let Problem { a, c, terms, .. } = problem;
    let Terms { alpha, beta, steps, bias, residual } = *terms;
    let form = Form { a_rows, a_columns, b: layout, steps };
    matmul_panels::<T, E, T::Sum, O, BK, F>(
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
    .grid((across, down, batch))
    .launch(&device)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_c_and_are_even() {
        for (m, n, k) in [(1, 1, 1), (64, 64, 64), (65, 33, 9), (1000, 1000, 1000), (3, 5000, 700)]
        {
            for threads in [1, 2, 7] {
                let plan = Plan::new(1, (m, n, k), true, threads);
                assert!(plan.rows <= ROWS && plan.rows.is_multiple_of(4), "{plan:?}");
                assert!(
                    plan.rows * plan.grid.1 >= m && plan.rows * (plan.grid.1 - 1) < m,
                    "{plan:?}"
                );
                let columns = plan.panels * PANEL;
                assert!(columns * plan.grid.0 >= n && columns * (plan.grid.0 - 1) < n, "{plan:?}");
            }
        }
        assert_eq!(Plan::new(1, (64, 64, 64), true, 2).grid, (1, 1));
        let square = Plan::new(1, (1024, 1024, 1024), true, 2);
        assert_eq!((square.layout, square.rows, square.grid), (Layout::Panels, 64, (1, 16)));
    }
}
