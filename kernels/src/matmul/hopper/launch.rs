//! Products that Hopper's own kernels take.

use kernelsmith::prelude::*;

use super::config::Config;
use super::cooperative::{BM, Form, matmul_cooperative};
use super::family::Family;
use super::pingpong::matmul_pingpong;
use super::tuning::{self, Sums};
use super::work::{Work, order};
use crate::error::Error;
use crate::matmul::epilogue::{Pointwise, function};
use crate::matmul::problem::{B, Problem, Terms};
use crate::matmul::{Factor, Identity, Summed, finish};

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
    let (B::Matrix(b) | B::Packed(_, b)) = problem.b;
    let factors = (order(problem.a, 2)?, order(b, 1)?);
    let c = problem.c.reborrow();
    launch::<W, T::Sum, O, F>(Work::new(factors, problem.terms, c, problem.tuned)?, map)
}

/// Launches a product the way a search or the model chooses, if there is a kernel for it.
pub(super) fn launch<W: Family, E: Summed, O: Num, F: Pointwise<E>>(
    mut work: Work<'_, W::Input, E, O>,
    map: F,
) -> Option<Result<(), Error>> {
    let alone = |config, work: &mut Work<'_, W::Input, E, O>| {
        by_config::<W, E, O, _>(config, work, function(Identity))
    };
    match tuning::choose::<W, E, O>(&work, Sums::Plain, alone).transpose()? {
        Ok(config) => Some(by_config::<W, E, O, F>(config, &mut work, map)),
        Err(error) => Some(Err(error)),
    }
}

/// Launches the product in a way that is legal for it.
pub(super) fn by_config<W: Family, E: Summed, O: Num, F: Pointwise<E>>(
    config: Config,
    work: &mut Work<'_, W::Input, E, O>,
    map: F,
) -> Result<(), Error> {
    match config.parts {
        1 => by_width::<W, E, O, F>(config, work, map),
        _ => in_parts::<W, E, O, F>(config, work, map),
    }
}

/// Sums over parts of the depth first, then those of each element in their order, and the epilogue: C has
/// the same bits each time.
fn in_parts<W: Family, E: Summed, O: Num, F: Pointwise<E>>(
    config: Config,
    work: &mut Work<'_, W::Input, E, O>,
    map: F,
) -> Result<(), Error> {
    let Work { a, b, terms, c, .. } = work;
    finish::in_parts(config.parts, *terms, map, c.reborrow(), |c| {
        let mut all = Work { a: *a, b: *b, terms: Terms::default(), c, tuned: false };
        by_width::<W, W::Sum, W::Sum, _>(config, &mut all, function(Identity))
    })
}

/// Launches the kernel of the width that was chosen.
fn by_width<W: Family, E: Summed, O: Num, F: Pointwise<E>>(
    config: Config,
    work: &mut Work<'_, W::Input, E, O>,
    map: F,
) -> Result<(), Error> {
    // The stages are those of `config::WIDTHS`.
    match config.width {
        16 => cooperative::<W::N16, E, O, F, 12>(config, work, map),
        32 => cooperative::<W::N32, E, O, F, 10>(config, work, map),
        64 => cooperative::<W::N64, E, O, F, 8>(config, work, map),
        128 if config.pingpong => pingpong::<W::N128, E, O, F, 6>(config, work, map),
        128 => cooperative::<W::N128, E, O, F, 6>(config, work, map),
        192 => cooperative::<W::N192, E, O, F, 5>(config, work, map),
        _ => cooperative::<W::N256, E, O, F, 4>(config, work, map),
    }
}

fn cooperative<W: WgmmaAtom, E: Summed, O: Num, F: Pointwise<E>, const STAGES: usize>(
    config: Config,
    work: &mut Work<'_, W::Input, E, O>,
    map: F,
) -> Result<(), Error> {
    let Config { cluster, parts, exchanged, group, .. } = config;
    let grid = config.grid(work.c.shape(), work.units());
    let Work { a, b, terms, c, .. } = work;
    let device = c.device().clone();
    let Terms { alpha, steps, bias, residual, scales: [rows, columns], .. } = *terms;
    let ((a_order, a), (b_order, b)) = if exchanged { (*b, *a) } else { (*a, *b) };
    let form = Form { a: a_order, b: b_order, cluster, exchanged };
    let (mut sums, mut flags) = match config.streamed {
        // SAFETY: every element that is read is written before.
        true => unsafe {
            let sums = Buffer::<W::Sum>::uninit(&device, grid * BM * W::N)?;
            (Some(sums), Some(Buffer::<u32>::zeros(&device, grid)?))
        },
        false => (None, None),
    };
    let sums = sums.as_mut().map(|sums| View::of_mut(sums, [grid, BM * W::N]));
    matmul_cooperative::<W, W::Input, W::Sum, E, O, STAGES, F>(
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
        rows,
        columns,
        sums,
        flags.as_mut(),
        c.reborrow(),
    )
    .grid(grid)
    .launch(&device)?;
    Ok(())
}

fn pingpong<W: WgmmaAtom, E: Summed, O: Num, F: Pointwise<E>, const STAGES: usize>(
    config: Config,
    work: &mut Work<'_, W::Input, E, O>,
    map: F,
) -> Result<(), Error> {
    let Config { cluster, group, .. } = config;
    let grid = config.grid(work.c.shape(), work.units());
    let Work { a: (a_order, a), b: (b_order, b), terms, c, .. } = work;
    let device = c.device().clone();
    let Terms { alpha, steps, bias, residual, scales: [rows, columns], .. } = *terms;
    let form = Form { a: *a_order, b: *b_order, cluster, exchanged: false };
    matmul_pingpong::<W, W::Input, W::Sum, E, O, STAGES, F>(
        alpha,
        group / cluster,
        form,
        steps,
        map,
        *a,
        *b,
        bias,
        residual,
        rows,
        columns,
        c.reborrow(),
    )
    .grid(grid)
    .launch(&device)?;
    Ok(())
}
