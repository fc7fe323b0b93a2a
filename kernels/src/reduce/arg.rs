//! Extremes together with where they are.

use kernelsmith::prelude::*;

use super::columns::COLUMNS;
use super::rows::CHUNK;
use crate::cut;
use crate::error::{Error, check_len};
use crate::number::Number;

/// Which extreme. The first of several that are equal is found; a NaN is either extreme, as PyTorch has it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Extreme {
    /// The greatest.
    Max,
    /// The least.
    Min,
}

/// An element and its index.
#[derive(KernelValue, Clone, Copy)]
struct Found<T: Num> {
    value: Val<T>,
    index: Val<u32>,
}

/// Whether `new` replaces `old`, which comes before it.
#[device]
fn better<T: Num>(#[comptime] extreme: Extreme, new: T, old: T) -> bool {
    let more = match extreme {
        Extreme::Max => new > old,
        Extreme::Min => new < old,
    };
    // What is not itself is NaN, of which the first stays.
    more | ((new != new) & (old == old))
}

/// The extreme of each row, `values[row, chunk]` and its column `indices[row, chunk]`, of chunks of `run`
/// columns. With `places`, `x` is of what chunks gave, and `places` of their columns.
#[kernel(
    block = warp_size(),
    requires = (
        x.len() >= values.shape(0) * columns,
        values.tile(1) == 1,
        indices.tile(1) == 1,
        indices.tile(0) == values.tile(0),
        indices.shape(0) == values.shape(0),
        indices.shape(1) == values.shape(1),
    ),
)]
pub fn extreme_rows_kernel<T: Num>(
    #[comptime] extreme: Extreme,
    columns: usize,
    run: usize,
    x: &[T],
    places: Option<&[u32]>,
    values: &mut Part<T, 2>,
    indices: &mut Part<u32, 2>,
) {
    for i in 0..values.count(0) {
        let start = values.global(0, i) * columns;
        let row = &x[start..start + columns];
        let first = (values.origin(1) * run).min(columns);
        let part = &row[first..(first + run).min(columns)];
        // Lanes without an element have the first one, which is no better than itself.
        let mut best = part[0];
        let mut place = 0u32;
        for at in (lane_id()..part.len()).step_by(warp_size()) {
            let value = part[at];
            if better(extreme, value, best) {
                best = value;
                place = at as u32;
            }
        }
        let found = warp_reduce(best, |a, b| if_better(extreme, a, b));
        let same = (best == found) | ((best != best) & (found != found));
        let place = warp_min(if same { place } else { u32::MAX });
        let column = first as u32 + place;
        let column = match places {
            Some(places) => places[start + column as usize],
            None => column,
        };
        if values.owns([i, 0]) {
            values[[i, 0]] = found;
            indices[[i, 0]] = column;
        }
    }
}

/// The better of two.
#[device]
fn if_better<T: Num>(#[comptime] extreme: Extreme, old: T, new: T) -> T {
    if better(extreme, new, old) { new } else { old }
}

/// The extreme of each column, `values[0, column]`, and its row `indices[0, column]`.
#[kernel(
    block = warp_size(),
    requires = (
        x.len() >= rows * values.shape(1),
        rows >= 1,
        values.tile(0) == 1,
        indices.tile(0) == 1,
        values.shape(0) == 1,
        indices.shape(0) == 1,
        values.tile(1) <= COLUMNS,
        indices.tile(1) == values.tile(1),
        indices.shape(1) == values.shape(1),
    ),
)]
pub fn extreme_columns_kernel<T: Num>(
    #[comptime] extreme: Extreme,
    rows: usize,
    x: &[T],
    values: &mut Part<T, 2>,
    indices: &mut Part<u32, 2>,
) {
    let columns = values.shape(1);
    let best = shared::<T>(COLUMNS);
    let places = shared::<u32>(COLUMNS);
    for j in 0..values.count(1) {
        let column = values.global(1, j);
        best[column - values.origin(1)] = x[column];
        places[column - values.origin(1)] = 0;
    }
    for row in 1..rows {
        for j in 0..values.count(1) {
            let column = values.global(1, j);
            let at = column - values.origin(1);
            let found = Found::<T> { value: x[row * columns + column], index: row as u32 };
            let old = Found::<T> { value: best[at], index: places[at] };
            let new = if better(extreme, found.value, old.value) { found } else { old };
            best[at] = new.value;
            places[at] = new.index;
        }
    }
    for j in 0..values.count(1) {
        let at = values.global(1, j) - values.origin(1);
        if values.owns([0, j]) {
            values[[0, j]] = best[at];
            indices[[0, j]] = places[at];
        }
    }
}

impl Extreme {
    /// Of each row of a row-major matrix of `columns` columns: the element, and its column.
    ///
    /// # Errors
    /// If there are no columns or more than `u32` numbers, `x` has not `values.len() * columns` elements,
    /// `indices` is not as long as `values`, or the buffers live on different devices.
    pub fn rows<T: Number>(
        self,
        columns: usize,
        x: &Buffer<T>,
        values: &mut Buffer<T>,
        indices: &mut Buffer<u32>,
    ) -> Result<(), Error> {
        let rows = values.len();
        check_len("x", x.len(), "values.len() * columns", rows.checked_mul(columns))?;
        check_len("indices", indices.len(), "values.len()", Some(rows))?;
        check_count("columns", columns)?;
        if rows == 0 {
            return Ok(());
        }
        if rows >= 64 || columns <= CHUNK {
            return self.launch_rows([rows, columns, columns], x, None, values, indices);
        }
        let chunks = columns.div_ceil(CHUNK);
        let device = x.device();
        // SAFETY: the kernel writes every element.
        let mut some = unsafe { Buffer::<T>::uninit(device, rows * chunks) }?;
        // SAFETY: as above.
        let mut places = unsafe { Buffer::<u32>::uninit(device, rows * chunks) }?;
        self.launch_rows([rows, columns, CHUNK], x, None, &mut some, &mut places)?;
        self.launch_rows([rows, chunks, chunks], &some, Some(&places), values, indices)
    }

    /// Of each column of a row-major matrix: the element, and its row; of as many columns as `values` is
    /// long.
    ///
    /// # Errors
    /// If there are no rows or more than `u32` numbers, `x` has not `rows * values.len()` elements, `indices`
    /// is not as long as `values`, or the buffers live on different devices.
    pub fn columns<T: Number>(
        self,
        rows: usize,
        x: &Buffer<T>,
        values: &mut Buffer<T>,
        indices: &mut Buffer<u32>,
    ) -> Result<(), Error> {
        let columns = values.len();
        check_len("x", x.len(), "rows * values.len()", rows.checked_mul(columns))?;
        check_len("indices", indices.len(), "values.len()", Some(columns))?;
        check_count("rows", rows)?;
        if columns == 0 {
            return Ok(());
        }
        let values = View::of_mut(values, [1, columns]).partition([1, COLUMNS]);
        let indices = View::of_mut(indices, [1, columns]).partition([1, COLUMNS]);
        extreme_columns_kernel::<T>(self, rows, x, values, indices).launch(x.device())?;
        Ok(())
    }

    /// Of all elements, on the host: the element and its index. Waits for the device.
    ///
    /// # Errors
    /// If there are no elements or more than `u32` numbers, and what went wrong in earlier launches.
    pub fn value<T: Number>(self, x: &Buffer<T>) -> Result<(T, u32), Error> {
        let mut value = Buffer::<T>::zeros(x.device(), 1)?;
        let mut index = Buffer::<u32>::zeros(x.device(), 1)?;
        self.rows(x.len(), x, &mut value, &mut index)?;
        Ok((value.to_vec()?[0], index.to_vec()?[0]))
    }

    fn launch_rows<T: Number>(
        self,
        [rows, columns, run]: [usize; 3],
        x: &Buffer<T>,
        places: Option<&Buffer<u32>>,
        values: &mut Buffer<T>,
        indices: &mut Buffer<u32>,
    ) -> Result<(), Error> {
        let tile = [if run == columns { cut::rows(x.device().target(), columns) } else { 1 }, 1];
        let shape = [rows, columns.div_ceil(run)];
        let values = View::of_mut(values, shape).partition(tile);
        let indices = View::of_mut(indices, shape).partition(tile);
        extreme_rows_kernel::<T>(self, columns, run, x, places, values, indices)
            .launch(x.device())?;
        Ok(())
    }
}

/// There is something to compare, and `u32` numbers it.
fn check_count(argument: &'static str, count: usize) -> Result<(), Error> {
    if (1..=u32::MAX as usize).contains(&count) {
        return Ok(());
    }
    Err(Error::Shape {
        argument,
        found: format!("the value {count}"),
        rule: "an extreme is of 1 to 2^32 - 1 numbers".to_owned(),
    })
}
