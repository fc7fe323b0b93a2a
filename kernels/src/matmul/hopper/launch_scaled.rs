//! Products with scales that Hopper's own kernels take.

use kernelsmith::launch::ViewArg;
use kernelsmith::prelude::*;

use super::config::Config;
use super::family::Family;
use super::launch::launch;
use super::operand::Order;
use super::scaled::{ScaledForm, matmul_scaled};
use super::tuning::{self, Sums};
use super::work::{Work, walks};
use crate::error::Error;
use crate::matmul::epilogue::{Pointwise, function};
use crate::matmul::problem::Terms;
use crate::matmul::scaled::Scaled;
use crate::matmul::{Identity, finish};

/// Launches a product whose scales are of rows and columns, of which nothing is empty, with sums as the
/// tensor cores add them up, if the device is a Hopper GPU and its copy engine can walk both factors along k,
/// and C along its rows.
pub(in crate::matmul) fn row_scaled_product<W: Family, O: Num, F: Pointwise<f32>>(
    problem: &mut Scaled<'_, W::Input, O>,
    map: F,
) -> Option<Result<(), Error>> {
    launch::<W, f32, O, F>(work(problem)?, map)
}

/// The factors along k.
fn work<'p, T: Stored, O: Num>(problem: &'p mut Scaled<'_, T, O>) -> Option<Work<'p, T, f32, O>> {
    let (a, b, terms) = (problem.a, problem.b.transposed(), problem.terms());
    if !walks(&a) || !walks(&b) {
        return None;
    }
    let factors = ((Order::AlongK, a), (Order::AlongK, b));
    Work::new(factors, terms, problem.c.reborrow(), problem.tuned)
}

/// The same of 8-bit floats, with scales in blocks or not, whose sums are promoted to f32 of the CUDA cores.
pub(in crate::matmul) fn scaled_product<W: Family<Sum = f32>, O: Num, F: Pointwise<f32>>(
    problem: &mut Scaled<'_, W::Input, O>,
    map: F,
) -> Option<Result<(), Error>> {
    let blocks = problem.blocks.then_some((problem.a_scales, problem.b_scales));
    let mut work = work(problem)?;
    let sums = Sums::Promoted { blocks: blocks.is_some() };
    let alone = |config, work: &mut Work<'_, W::Input, f32, O>| {
        by_config::<W, O, _>(config, blocks, work, function(Identity))
    };
    Some(match tuning::choose::<W, f32, O>(&work, sums, alone).transpose()? {
        Ok(config) => by_config::<W, O, F>(config, blocks, &mut work, map),
        Err(error) => Err(error),
    })
}

/// Launches the product in a way that is legal for it.
fn by_config<W: Family<Sum = f32>, O: Num, F: Pointwise<f32>>(
    config: Config,
    blocks: InBlocks<'_>,
    work: &mut Work<'_, W::Input, f32, O>,
    map: F,
) -> Result<(), Error> {
    match config.parts {
        1 => by_width::<W, O, F>(config, blocks, work, map),
        _ => in_parts::<W, O, F>(config, blocks, work, map),
    }
}

/// Scales in blocks, of A and of B.
type InBlocks<'p> = Option<(ViewArg<'p, f32, 2>, ViewArg<'p, f32, 2>)>;

/// Sums over parts of the depth first, then those of each element in their order, and the epilogue.
fn in_parts<W: Family<Sum = f32>, O: Num, F: Pointwise<f32>>(
    config: Config,
    blocks: InBlocks<'_>,
    work: &mut Work<'_, W::Input, f32, O>,
    map: F,
) -> Result<(), Error> {
    let Work { a, b, terms, c, .. } = work;
    finish::in_parts(config.parts, *terms, map, c.reborrow(), |c| {
        let mut all = Work { a: *a, b: *b, terms: Terms::default(), c, tuned: false };
        by_width::<W, f32, _>(config, blocks, &mut all, function(Identity))
    })
}

fn by_width<W: Family<Sum = f32>, O: Num, F: Pointwise<f32>>(
    config: Config,
    blocks: InBlocks<'_>,
    work: &mut Work<'_, W::Input, f32, O>,
    map: F,
) -> Result<(), Error> {
    // The stages are those of `config::WIDTHS`, the widths those of `choice::scaled`.
    match config.width {
        16 => by_tiles::<W::N16, O, F, 12>(config, blocks, work, map),
        32 => by_tiles::<W::N32, O, F, 10>(config, blocks, work, map),
        64 => by_tiles::<W::N64, O, F, 8>(config, blocks, work, map),
        _ => by_tiles::<W::N128, O, F, 6>(config, blocks, work, map),
    }
}

fn by_tiles<W: WgmmaAtom<Sum = f32>, O: Num, F: Pointwise<f32>, const STAGES: usize>(
    config: Config,
    blocks: InBlocks<'_>,
    work: &mut Work<'_, W::Input, f32, O>,
    map: F,
) -> Result<(), Error> {
    let Config { cluster, parts, exchanged, group, .. } = config;
    let grid = config.grid(work.c.shape(), work.units());
    let Work { a: (_, a), b: (_, b), terms, c, .. } = work;
    let device = c.device().clone();
    let Terms { steps, bias, scales: [rows, columns], .. } = *terms;
    let (a, b) = if exchanged { (*b, *a) } else { (*a, *b) };
    // Exchanged or not, the fine ones are those of the rows of C, the coarse ones those of its columns.
    let (fine, coarse) = blocks.unzip();
    matmul_scaled::<W, W::Input, O, STAGES, F>(
        parts,
        group / cluster,
        ScaledForm { cluster, exchanged },
        steps,
        map,
        a,
        b,
        fine,
        coarse,
        bias,
        rows,
        columns,
        c.reborrow(),
    )
    .grid(grid)
    .launch(&device)?;
    Ok(())
}
