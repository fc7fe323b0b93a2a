//! The matmul of GPUs: tiles by type.

use kernelsmith::launch::ViewArg;
use kernelsmith::prelude::*;

use super::config;
use super::element::Factor;
use super::epilogue::Pointwise;
use super::operand::is_unit;
use super::problem::{B, Problem, Terms};
use super::tiled::matmul_tiled;
use crate::error::Error;

/// `C`, of which the rows are contiguous; nothing is empty.
pub(super) fn product<T: Factor<U>, U: Num, O: Num, F>(
    problem: &mut Problem<'_, T, U, O>,
    map: F,
) -> Result<(), Error>
where
    F: Pointwise<T::Sum>,
{
    macro_rules! launch {
        ($tiles:path) => {
            launch::<
                T,
                U,
                O,
                F,
                { $tiles.bm },
                { $tiles.bn },
                { $tiles.bk },
                { $tiles.tm },
                { $tiles.tn },
            >(problem, map)
        };
    }
    // The one that is not taken is not compiled.
    if const { size_of::<T::Sum>() == 8 } { launch!(config::GPU_F64) } else { launch!(config::GPU) }
}

fn launch<
    T: Factor<U>,
    U: Num,
    O: Num,
    F,
    const BM: usize,
    const BN: usize,
    const BK: usize,
    const TM: usize,
    const TN: usize,
>(
    problem: &mut Problem<'_, T, U, O>,
    map: F,
) -> Result<(), Error>
where
    F: Pointwise<T::Sum>,
{
    let Problem { a, b, c, terms, .. } = problem;
    let (a, B::Matrix(b) | B::Packed(_, b)) = (*a, *b);
    let (device, a_down, b_down) = (c.device().clone(), down(&a), down(&b));
    let Terms { alpha, beta, steps, bias, residual, .. } = *terms;
    matmul_tiled::<T, U, T::Sum, O, BM, BN, BK, TM, TN, F>(
        alpha,
        beta,
        a_down,
        b_down,
        steps,
        map,
        a,
        b,
        bias,
        residual,
        c.reborrow().partition([1, BM, BN]),
    )
    .launch(&device)?;
    Ok(())
}

/// Whether columns are contiguous, and rows not.
fn down<T: Num>(view: &ViewArg<'_, T, 3>) -> bool {
    is_unit(view, 1) && !is_unit(view, 2)
}
