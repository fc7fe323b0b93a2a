//! The matmul of the CPU: what is packed, and how C is cut into blocks.

use kernelsmith::prelude::*;

use super::panels::{Layout, PANEL, ROWS, matmul_panels, pack_panels};
use crate::error::Error;

/// Columns of A that a block copies at a time, for small products and for others: less memory is fewer
/// pages.
const SHORT: usize = 128;
const LONG: usize = 1024;

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
    /// For as many threads.
    fn new((m, n, k): (usize, usize, usize), threads: usize) -> Plan {
        let all = n.div_ceil(PANEL);
        // Strips of rows as even as they get in steps of the least number of sums.
        let strips = m.div_ceil(ROWS);
        let rows = m.div_ceil(strips).next_multiple_of(4);
        let strips = m.div_ceil(rows);
        // Each thread should have a few blocks, so that none waits long for another's last, but a block
        // some microseconds of work, so that small products pay for no help.
        let work = (m * n).saturating_mul(k) / LEAST_WORK;
        let blocks = work.clamp(1, 4 * threads);
        let cuts = blocks.div_ceil(strips).min(all);
        let panels = all.div_ceil(cuts);
        // Packing pays once each panel is read often, or where rows are far apart.
        let layout = match m < 3 * ROWS || n * k <= 1 << 14 {
            true => Layout::Rows,
            false => Layout::Panels,
        };
        Plan { layout, rows, panels, grid: (all.div_ceil(panels), strips) }
    }
}

/// `C = A * B`; none of the extents is 0.
pub(super) fn matmul<T: Float>(
    (m, n, k): (usize, usize, usize),
    a: &Buffer<T>,
    b: &Buffer<T>,
    c: &mut Buffer<f32>,
) -> Result<(), Error> {
    let device = c.device().clone();
    let threads = device.limits().compute_units as usize;
    let plan = Plan::new((m, n, k), threads);
    match plan.layout {
        Layout::Rows => product(plan, (m, n, k), a, b, c),
        Layout::Panels => {
            let panels = n.div_ceil(PANEL);
            // SAFETY: packing writes every element before the product reads it.
            let packed = unsafe { Buffer::<f32>::uninit(&device, panels * k * PANEL) };
            let mut packed = packed.map_err(kernelsmith::Error::from)?;
            let parts = View::of_mut(&mut packed, [panels, k, PANEL]).partition([8, 32, PANEL]);
            pack_panels(n, b, parts).launch(&device)?;
            product(plan, (m, n, k), a, &packed, c)
        }
    }
}

fn product<T: Float, B: Float>(
    plan: Plan,
    (m, n, k): (usize, usize, usize),
    a: &Buffer<T>,
    b: &Buffer<B>,
    c: &mut Buffer<f32>,
) -> Result<(), Error> {
    let device = c.device().clone();
    let Plan { layout, rows, panels, grid } = plan;
    let launch = match k <= SHORT {
        true => matmul_panels::<_, _, SHORT>(m, n, k, rows, panels, layout, a, b, c),
        false => matmul_panels::<_, _, LONG>(m, n, k, rows, panels, layout, a, b, c),
    };
    launch.grid(grid).launch(&device)?;
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
                let plan = Plan::new((m, n, k), threads);
                assert!(plan.rows <= ROWS && plan.rows.is_multiple_of(4), "{plan:?}");
                assert!(
                    plan.rows * plan.grid.1 >= m && plan.rows * (plan.grid.1 - 1) < m,
                    "{plan:?}"
                );
                let columns = plan.panels * PANEL;
                assert!(columns * plan.grid.0 >= n && columns * (plan.grid.0 - 1) < n, "{plan:?}");
            }
        }
        assert_eq!(Plan::new((64, 64, 64), 2).grid, (1, 1));
        let square = Plan::new((1024, 1024, 1024), 2);
        assert_eq!((square.layout, square.rows, square.grid), (Layout::Panels, 64, (1, 16)));
    }
}
