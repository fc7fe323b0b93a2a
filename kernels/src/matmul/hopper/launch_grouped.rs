//! Products of groups of rows that Hopper's own kernel takes.

use kernelsmith::launch::ViewArg;
use kernelsmith::prelude::*;

use super::choice::grouped_width;
use super::config::Product;
use super::cooperative::BM;
use super::family::Family;
use super::grouped::{GroupedForm, matmul_grouped};
use super::work::{Walked, is_hopper, order, walks};
use crate::error::Error;
use crate::matmul::epilogue::Pointwise;
use crate::matmul::grouped::Grouped;

/// Launches the products, of which nothing is empty, if the device is a Hopper GPU and its copy engine can
/// walk the factors, A along k.
pub(in crate::matmul) fn grouped_product<W, T, O, F>(
    problem: &mut Grouped<'_, T, O>,
    map: F,
) -> Option<Result<(), Error>>
where
    W: Family<Input = T, Sum = f32>,
    T: Num,
    O: Num,
    F: Pointwise<f32>,
{
    let (b_order, b) = walked(problem)?;
    let ([_, _, k], [groups, _, n]) = (problem.a.shape(), problem.b.shape());
    let units = problem.c.device().limits().compute_units as usize;
    let (depth, along) = (k * size_of::<T>(), [true, b_order.is_along_k()]);
    let (size, element) = (size_of::<O>(), size_of::<T>());
    let m = rows_each(problem);
    let product = Product { batch: groups, m, n, depth, size, along, element, bare: false };
    let width = grouped_width(&product, units);
    let grid = blocks(problem, width);
    let form = GroupedForm { b: b_order, masked: problem.masked, map: problem.map };
    Some(match width {
        128 => launch::<W::N128, T, O, F, 6>(grid, form, map, b, problem),
        _ => launch::<W::N256, T, O, F, 4>(grid, form, map, b, problem),
    })
}

/// The same of 8-bit floats with scales in blocks, B along k: in tiles of 128 columns, in which a thread has room
/// for sums and totals.
pub(in crate::matmul) fn grouped_scaled_product<W, T, O, F>(
    problem: &mut Grouped<'_, T, O>,
    map: F,
) -> Option<Result<(), Error>>
where
    W: Family<Input = T, Sum = f32>,
    T: Stored,
    O: Num,
    F: Pointwise<f32>,
{
    let (b_order, b) = walked(problem)?;
    if !b_order.is_along_k() {
        return None;
    }
    let form = GroupedForm { b: b_order, masked: problem.masked, map: problem.map };
    Some(launch::<W::N128, T, O, F, 6>(blocks(problem, W::N128::N), form, map, b, problem))
}

/// B as the copy engine walks it, if the device is a Hopper GPU and it walks A, too.
fn walked<'p, T: Stored, O: Num>(problem: &Grouped<'p, T, O>) -> Option<Walked<'p, T>> {
    if !is_hopper(problem.c.device()) || !walks(&problem.a) {
        return None;
    }
    order(problem.b, 1)
}

/// Rows of a group, as the host reckons with: how many there are only the device knows.
fn rows_each<T: Stored, O: Num>(problem: &Grouped<'_, T, O>) -> usize {
    let ([_, rows, _], [groups, _, _]) = (problem.a.shape(), problem.b.shape());
    if problem.masked { rows } else { rows.div_ceil(groups) }
}

/// Blocks for tiles of so many columns: the most that there may be, but no more than run at once.
fn blocks<T: Stored, O: Num>(problem: &Grouped<'_, T, O>, width: usize) -> usize {
    let [groups, _, n] = problem.b.shape();
    let down = groups * (rows_each(problem).div_ceil(BM) + 1);
    (down * n.div_ceil(width)).min(problem.c.device().limits().compute_units as usize)
}

fn launch<W, T, O, F, const STAGES: usize>(
    grid: usize,
    form: GroupedForm,
    map: F,
    b: ViewArg<'_, T, 3>,
    problem: &mut Grouped<'_, T, O>,
) -> Result<(), Error>
where
    W: WgmmaAtom<Input = T, Sum = f32>,
    T: Stored,
    O: Num,
    F: Pointwise<f32>,
{
    let device = problem.c.device().clone();
    let (a, ends) = (problem.a, problem.ends);
    let (fine, coarse) = problem.scales.unzip();
    matmul_grouped::<W, T, O, STAGES, F>(form, map, a, b, ends, fine, coarse, problem.c.reborrow())
        .grid(grid)
        .launch(&device)?;
    Ok(())
}
