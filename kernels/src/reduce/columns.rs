//! Reductions of columns: numbers a row's length apart.

use kernelsmith::prelude::*;

use super::arithmetic::{Reduction, Step, combine, finish, prepare};
use crate::error::Error;
use crate::number::Number;

/// Columns of a block: enough of a row for memory to be read in long pieces, and few enough for their sums to
/// stay in the fastest cache.
pub(super) const COLUMNS: usize = 1024;

/// Rows of a block. Its sums are of so many numbers, and sums of those are of as many again.
const RUN: usize = 256;

/// Rows that are added to a sum while it is in a register.
const TOGETHER: usize = 4;

/// `y[chunk, column]` of the rows from `chunk * run` to before `chunk * run + run`. A block is one warp and
/// has the sums of its columns in its own memory.
#[kernel(
    block = warp_size(),
    requires = (x.len() >= rows * y.shape(1), y.tile(0) == 1, y.tile(1) <= COLUMNS),
)]
pub fn reduce_columns_kernel<T: Num, A: Num, O: Num>(
    #[comptime] reduction: Reduction,
    #[comptime] step: Step,
    rows: usize,
    run: usize,
    count: usize,
    identity: A,
    x: &[T],
    y: &mut Part<O, 2>,
) {
    let columns = y.shape(1);
    let sums = shared::<A>(COLUMNS);
    let first = (y.origin(0) * run).min(rows);
    let last = (first + run).min(rows);
    let whole = first + (last - first) / TOGETHER * TOGETHER;
    for j in 0..y.count(1) {
        sums[y.global(1, j) - y.origin(1)] = identity;
    }
    for row in (first..whole).step_by(TOGETHER) {
        for j in 0..y.count(1) {
            let column = y.global(1, j);
            let mut sum = sums[column - y.origin(1)];
            for r in unroll(0..TOGETHER) {
                let value = prepare::<T, A>(reduction, step, x[(row + r) * columns + column]);
                sum = combine(reduction, sum, value);
            }
            sums[column - y.origin(1)] = sum;
        }
    }
    for row in whole..last {
        for j in 0..y.count(1) {
            let column = y.global(1, j);
            let value = prepare::<T, A>(reduction, step, x[row * columns + column]);
            let at = column - y.origin(1);
            sums[at] = combine(reduction, sums[at], value);
        }
    }
    for j in 0..y.count(1) {
        let sum = sums[y.global(1, j) - y.origin(1)];
        if y.owns([0, j]) {
            y[[0, j]] = finish::<A, O>(reduction, step, count, sum);
        }
    }
}

/// Reduces columns.
pub(super) fn reduce<T: Number, O: Number>(
    reduction: Reduction,
    shape: [usize; 2],
    x: &Buffer<T>,
    y: &mut Buffer<O>,
) -> Result<(), Error> {
    if shape[1] == 0 {
        return Ok(());
    }
    fold::<T, O::Wide, O>(reduction, true, shape[0], shape, x, y)
}

fn fold<T: Num, A: Number, O: Num>(
    reduction: Reduction,
    first: bool,
    count: usize,
    [rows, columns]: [usize; 2],
    x: &Buffer<T>,
    y: &mut Buffer<O>,
) -> Result<(), Error> {
    let (chunks, identity) = (rows.div_ceil(RUN), reduction.identity::<A>());
    if chunks <= 1 {
        let y = View::of_mut(y, [1, columns]).partition([1, COLUMNS]);
        let step = Step { first, last: true };
        reduce_columns_kernel::<T, A, O>(reduction, step, rows, RUN, count, identity, x, y)
            .launch(x.device())?;
        return Ok(());
    }
    // SAFETY: the kernel writes every element.
    let mut partial = unsafe { Buffer::<A>::uninit(x.device(), chunks * columns) }?;
    let parts = View::of_mut(&mut partial, [chunks, columns]).partition([1, COLUMNS]);
    let step = Step { first, last: false };
    reduce_columns_kernel::<T, A, A>(reduction, step, rows, RUN, count, identity, x, parts)
        .launch(x.device())?;
    fold::<A, A, O>(reduction, false, count, [chunks, columns], &partial, y)
}
