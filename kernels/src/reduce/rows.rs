//! Reductions of rows: numbers that lie next to each other.

use kernelsmith::prelude::*;

use super::arithmetic::{Reduction, Step, combine, combine_lanes, finish, prepare};
use crate::cut;
use crate::error::Error;
use crate::number::Number;

/// Sums of a lane that are added to independently of each other, so that a processor need not wait for one
/// addition with the next.
const SUMS: usize = 4;

/// Elements that are summed by themselves: the longer a sum, the more it rounds.
const RUN: usize = 8192;

/// The most elements of a row that one block reduces, where there are few rows.
pub(crate) const CHUNK: usize = 1 << 16;

/// Rows that are enough for all processors.
const MANY: usize = 64;

/// `y[row, chunk]` of the elements of a row from `chunk * run` to before `chunk * run + run`, or the row's
/// end. A block is one warp and takes one chunk of some rows; `count` is what a mean divides by.
#[kernel(
    block = warp_size(),
    requires = (x.len() >= y.shape(0) * columns, y.tile(1) == 1),
)]
pub fn reduce_rows_kernel<T: Num, A: Num, O: Num>(
    #[comptime] reduction: Reduction,
    #[comptime] step: Step,
    columns: usize,
    run: usize,
    count: usize,
    identity: A,
    x: &[T],
    y: &mut Part<O, 2>,
) {
    for i in 0..y.count(0) {
        let start = y.global(0, i) * columns;
        let row = &x[start..start + columns];
        let first = (y.origin(1) * run).min(columns);
        let part = &row[first..(first + run).min(columns)];
        let total = reduce_run(reduction, step, identity, part);
        let total = finish::<A, O>(reduction, step, count, combine_lanes(reduction, total));
        if y.owns([i, 0]) {
            y[[i, 0]] = total;
        }
    }
}

/// The share of each lane.
#[device]
pub(crate) fn reduce_run<T: Num, A: Num>(
    #[comptime] reduction: Reduction,
    #[comptime] step: Step,
    identity: A,
    x: &[T],
) -> A {
    let group = SUMS * warp_size();
    let mut total = identity;
    for start in (0..x.len()).step_by(RUN) {
        let x = &x[start..(start + RUN).min(x.len())];
        let mut sums = [identity; SUMS];
        let groups = x.len() / group;
        for g in 0..groups {
            let x = &x[g * group..(g + 1) * group];
            for s in unroll(0..SUMS) {
                let value = prepare::<T, A>(reduction, step, x[s * warp_size() + lane_id()]);
                sums[s] = combine(reduction, sums[s], value);
            }
        }
        let rest = &x[groups * group..x.len()];
        for at in (lane_id()..rest.len()).step_by(warp_size()) {
            let value = prepare::<T, A>(reduction, step, rest[at]);
            sums[0] = combine(reduction, sums[0], value);
        }
        let halves = [combine(reduction, sums[0], sums[1]), combine(reduction, sums[2], sums[3])];
        total = combine(reduction, total, combine(reduction, halves[0], halves[1]));
    }
    total
}

/// Reduces rows.
pub(super) fn reduce<T: Number, O: Number>(
    reduction: Reduction,
    shape: [usize; 2],
    x: &Buffer<T>,
    y: &mut Buffer<O>,
) -> Result<(), Error> {
    if shape[0] == 0 {
        return Ok(());
    }
    fold::<T, O::Wide, O>(reduction, true, shape[1], shape, x, y)
}

/// One launch, or one for chunks of rows and others for what that gives.
fn fold<T: Num, A: Number, O: Num>(
    reduction: Reduction,
    first: bool,
    count: usize,
    [rows, columns]: [usize; 2],
    x: &Buffer<T>,
    y: &mut Buffer<O>,
) -> Result<(), Error> {
    if rows >= MANY || columns <= CHUNK {
        let step = Step { first, last: true };
        let y = View::of_mut(y, [rows, 1]);
        let y = y.partition([cut::rows(x.device().target(), columns), 1]);
        let identity = reduction.identity::<A>();
        reduce_rows_kernel::<T, A, O>(reduction, step, columns, columns, count, identity, x, y)
            .launch(x.device())?;
        return Ok(());
    }
    let chunks = columns.div_ceil(CHUNK);
    // SAFETY: `chunks` writes every element.
    let mut partial = unsafe { Buffer::<A>::uninit(x.device(), rows * chunks) }?;
    let step = Step { first, last: false };
    let parts = View::of_mut(&mut partial, [rows, chunks]).partition([1, 1]);
    reduce_rows_kernel::<T, A, A>(
        reduction,
        step,
        columns,
        CHUNK,
        count,
        reduction.identity::<A>(),
        x,
        parts,
    )
    .launch(x.device())?;
    fold::<A, A, O>(reduction, false, count, [rows, chunks], &partial, y)
}
