//! Products with few rows on the CPU: bound by reading B, which is neither packed nor read twice.

mod dots;
mod rows;

use kernelsmith::prelude::*;

pub use dots::{matmul_low_dots, matmul_low_dots_ir};
pub use rows::{matmul_low_rows, matmul_low_rows_ir};

use super::cpu::word_len;
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

/// A word of A.
type Word<D> = <<D as Products>::Left as Words>::Word;

/// What of such a product is known when its kernel is compiled.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LowForm {
    /// Whether elements of a row of A are next to each other.
    pub a_rows: bool,
    /// Whether elements of a row of C are next to each other.
    pub c_rows: bool,
    /// What the epilogue does.
    pub steps: Steps,
}

/// Whether this is a product of few rows whose B can be read along rows or columns.
pub(super) fn takes<T: Factor<U>, U: Num, O: Num>(problem: &Problem<'_, T, U, O>) -> bool {
    let B::Matrix(b) = problem.b else { return false };
    let device = problem.c.device();
    problem.extents().0 <= ROWS && reads(&b, word_len::<T, U>(device), is_unit(&b, 2))
}

/// Whether the product of the transposes is.
pub(super) fn takes_columns<T: Factor<U>, U: Factor<T>, O: Num>(
    problem: &Problem<'_, T, U, O>,
) -> bool {
    let plain = matches!(problem.b, B::Matrix(_));
    let (a, device) = (problem.a, problem.c.device());
    let rows = is_unit(&a, 1);
    plain && problem.extents().1 <= ROWS && reads(&a.transposed(), word_len::<U, T>(device), rows)
}

/// Whether B can be read by words: put together from several of its `rows`, or as they lie in columns.
fn reads<T: Num>(b: &ViewArg<'_, T, 3>, len: usize, rows: bool) -> bool {
    let (shape, strides) = b.layout();
    let whole = |elements: usize| elements.is_multiple_of(len);
    let lies = is_unit(b, 1)
        && (shape[0] == 1 || whole(strides[0]))
        && (shape[2] == 1 || whole(strides[2]))
        && b.address().is_multiple_of((len * size_of::<T>()) as u64);
    whole(shape[1]) && (rows || lies)
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
    takes(problem).then(|| match T::is_native(problem.c.device()) {
        true => launch::<T, U, T::Native, O, F>(problem, b, map),
        false => launch::<T, U, T::Plain, O, F>(problem, b, map),
    })
}

fn launch<T: Factor<U>, U: Num, D: Products<Sum = T::Sum>, O: Num, F>(
    problem: &mut Problem<'_, T, U, O>,
    b: ViewArg<'_, U, 3>,
    map: F,
) -> Result<(), Error>
where
    F: Pointwise<T::Sum>,
{
    if is_unit(&b, 2) {
        by_rows::<T, U, D, O, F>(problem, b, map)
    } else if const { D::Right::LEN == 1 } {
        by_dots::<T, U, U, D, O, F>(problem, b.transposed(), map)
    } else {
        // Words as they lie in memory.
        let ([batch, k, n], [apart, _, along]) = b.layout();
        let len = D::Right::LEN;
        let whole = b.data().len() / len * len;
        let words = b.data().slice(..whole)?.cast::<<D::Right as Words>::Word>()?;
        let b = View::of(words, [batch, n, k / len]).strides([apart / len, along / len, 1]);
        by_dots::<T, U, _, D, O, F>(problem, b, map)
    }
}

fn form<T: Factor<U>, U: Num, O: Num>(problem: &Problem<'_, T, U, O>) -> LowForm {
    LowForm {
        a_rows: is_unit(&problem.a, 2),
        c_rows: problem.c_units()[0],
        steps: problem.terms.steps,
    }
}

fn by_rows<T: Factor<U>, U: Num, D: Products<Sum = T::Sum>, O: Num, F>(
    problem: &mut Problem<'_, T, U, O>,
    b: ViewArg<'_, U, 3>,
    map: F,
) -> Result<(), Error>
where
    F: Pointwise<T::Sum>,
{
    let ((m, n, _), batch) = (problem.extents(), problem.c.shape()[0]);
    let device = problem.c.device().clone();
    let columns = rows::columns(m, n, device.limits().compute_units as usize);
    let form = form(problem);
    let Problem { a, c, terms, .. } = problem;
    let Terms { alpha, beta, bias, residual, .. } = *terms;
    let (a, c) = (*a, c.reborrow());
    matmul_low_rows::<T, U, D, T::Sum, O, F>(
        columns, alpha, beta, form, map, a, b, bias, residual, c,
    )
    .grid((n.div_ceil(columns), 1, batch))
    .launch(&device)?;
    Ok(())
}

/// By dot products, `B: n x k`.
fn by_dots<T: Factor<U>, U: Num, E: Num, D: Products<Sum = T::Sum>, O: Num, F>(
    problem: &mut Problem<'_, T, U, O>,
    b: ViewArg<'_, E, 3>,
    map: F,
) -> Result<(), Error>
where
    F: Pointwise<T::Sum>,
{
    let ((m, n, _), batch) = (problem.extents(), problem.c.shape()[0]);
    let device = problem.c.device().clone();
    let form = form(problem);
    let Problem { a, c, terms, .. } = problem;
    let Terms { alpha, beta, bias, residual, .. } = *terms;
    let (a, c) = (*a, c.reborrow());
    macro_rules! by {
        ($tm:literal, $tn:literal) => {
            matmul_low_dots::<T, E, D, T::Sum, O, $tm, $tn, F>(
                alpha, beta, form, map, a, b, bias, residual, c,
            )
            .grid((n.div_ceil(dots::COLUMNS), 1, batch))
            .launch(&device)
        };
    }
    // 24 vectors of sums, of which a warp has 2 for a number, or 4 of f64.
    if const { size_of::<T::Sum>() == 8 } {
        match m {
            1 => by!(1, 6),
            _ => by!(2, 3),
        }
    } else {
        match m {
            1 => by!(1, 8),
            2 => by!(2, 6),
            _ => by!(4, 3),
        }
    }?;
    Ok(())
}

/// Copies words of rows of A, from the first of `part` on as many as the second, to a block's own memory;
/// rows beyond A are zeros. Ends with a barrier. `sums`, how far its rows are apart and how long they are:
/// where B is moved ([`Products::MOVES`]), they lose what comes of that.
#[device]
fn fill<A: Num, D: Products>(
    a: &View<A, 2>,
    part: (usize, usize),
    factors: Shared<Word<D>>,
    #[comptime] stride: usize,
    rows: usize,
    sums: (Shared<D::Sum>, usize, usize),
) {
    let (first, depth) = part;
    // Elements one by one, as they follow each other in words.
    let elements = factors.cast::<<D::Left as Words>::Element>();
    let first = first * D::Left::LEN;
    for i in 0..rows {
        let start = i * (stride * D::Left::LEN);
        for p in (thread_idx_x()..depth * D::Left::LEN).step_by(PANEL) {
            elements[start + p] = if i < a.shape(0) {
                a[[i, first + p]].cast::<<D::Left as Words>::Element>()
            } else {
                Val::<<D::Left as Words>::Element>::zero()
            };
        }
    }
    barrier();
    if D::MOVES {
        let (sums, apart, width) = sums;
        for i in 0..rows {
            let mut moved = Val::<D::Sum>::zero();
            for p in (thread_idx_x()..depth).step_by(PANEL) {
                moved = D::dot(factors[i * stride + p], D::moved(), moved);
            }
            let moved = warp_reduce(moved, |x, y| x + y);
            for j in (thread_idx_x()..width).step_by(PANEL) {
                sums[i * apart + j] -= moved;
            }
        }
        barrier();
    }
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
