//! Products with few rows on the CPU: bound by reading B, which is neither packed nor read twice.

mod dots;
mod rows;

use kernelsmith::prelude::*;

pub use dots::{matmul_low_dots, matmul_low_dots_ir};
pub use rows::{matmul_low_rows, matmul_low_rows_ir};

use super::element::Factor;
use super::epilogue::{Epilogue, Pointwise, Steps};
use super::operand::is_unit;
use super::pack::PANEL;
use super::problem::{B, Problem, Terms};
use super::products::{Products, Summed, Words};
use crate::error::Error;
use kernelsmith::launch::ViewArg;

/// Rows of A at most.
const ROWS: usize = 32;

/// And where CPUs have instructions for the products of words of several elements, which are not used here:
/// for more rows they are worth packing B.
const ROWS_BESIDE_WORDS: usize = 8;

fn most_rows<T: Factor<U>, U: Num>(device: &Device) -> usize {
    if T::is_native(device) { ROWS_BESIDE_WORDS } else { ROWS }
}

/// What of such a product is known when its kernel is compiled.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LowForm {
    /// Whether elements of a row of C are next to each other.
    pub c_rows: bool,
    /// What the epilogue does.
    pub steps: Steps,
}

/// Whether this is a product of few rows whose B can be read along rows or columns.
pub(super) fn takes<T: Factor<U>, U: Num, O: Num>(problem: &Problem<'_, T, U, O>) -> bool {
    of_singles::<T, U>()
        && problem.extents().0 <= most_rows::<T, U>(problem.c.device())
        && matches!(problem.b, B::Matrix(b) if has_unit(&b))
}

/// Whether the product of the transposes is.
pub(super) fn takes_columns<T: Factor<U>, U: Num, O: Num>(problem: &Problem<'_, T, U, O>) -> bool {
    let plain = matches!(problem.b, B::Matrix(_));
    of_singles::<T, U>()
        && plain
        && problem.extents().1 <= most_rows::<T, U>(problem.c.device())
        && has_unit(&problem.a)
}

/// Whether elements are multiplied one by one as they are: bytes are better off in words.
fn of_singles<T: Factor<U>, U: Num>() -> bool {
    <T::Plain as Products>::Left::LEN == 1
}

fn has_unit<T: Num>(matrix: &ViewArg<'_, T, 3>) -> bool {
    is_unit(matrix, 2) || is_unit(matrix, 1)
}

/// Computes `C`, with any strides, if its rows are few; nothing is empty.
pub(super) fn product<T: Factor<U>, U: Num, O: Num, F>(
    problem: &mut Problem<'_, T, U, O>,
    map: F,
) -> Option<Result<(), Error>>
where
    F: Pointwise<T::Sum>,
{
    let B::Matrix(b) = problem.b else { return None };
    if !takes(problem) {
        return None;
    }
    let ((m, n, _), batch) = (problem.extents(), problem.c.shape()[0]);
    let device = problem.c.device().clone();
    let threads = device.limits().compute_units as usize;
    let form = LowForm { c_rows: problem.c_units()[0], steps: problem.terms.steps };
    let Problem { a, c, terms, .. } = problem;
    let Terms { alpha, beta, bias, residual, .. } = *terms;
    let (a, c) = (*a, c.reborrow());
    let launched = if is_unit(&b, 2) {
        let columns = rows::columns(m, n, threads);
        matmul_low_rows::<T, U, T::Sum, O, F>(
            columns, alpha, beta, form, map, a, b, bias, residual, c,
        )
        .grid((n.div_ceil(columns), 1, batch))
        .launch(&device)
    } else {
        let b = b.transposed();
        macro_rules! by {
            ($tm:literal, $tn:literal) => {
                matmul_low_dots::<T, U, T::Sum, O, $tm, $tn, F>(
                    alpha, beta, form, map, a, b, bias, residual, c,
                )
                .grid((n.div_ceil(dots::COLUMNS), 1, batch))
                .launch(&device)
            };
        }
        // 24 vectors of sums, of which a warp has 2 for a number, or 4 of f64.
        match (m, size_of::<T::Sum>()) {
            (1, 8) => by!(1, 6),
            (_, 8) => by!(2, 3),
            (1, _) => by!(1, 8),
            (2, _) => by!(2, 6),
            _ => by!(4, 3),
        }
    };
    Some(launched.map_err(Error::from))
}

/// Sums of a block, in its own memory, on their way to the columns of C from `column0` on.
#[device]
fn finish<S: Num + Summed, O: Num, F: Fn(S) -> S + Copy>(
    sums: Shared<S>,
    stride: usize,
    width: usize,
    column0: usize,
    epilogue: Epilogue<S, O, F>,
    c: &mut View<O, 2>,
) {
    for i in 0..c.shape(0) {
        for j in (thread_idx_x()..width).step_by(PANEL) {
            let column = column0 + j;
            let x = epilogue.begin(sums[i * stride + j], || c[[i, column]]);
            c[[i, column]] = epilogue.end(x, i, column).cast::<O>();
        }
    }
}
