use kernelsmith::prelude::*;

use super::candidates::candidates;
use crate::error::{Error, check_len};
use crate::number::SmallFloat;

/// The most elements of a row that are found.
pub const MOST: usize = 256;

/// The `k` greatest elements of each row and where they are, `k` being the columns of `values`. A block is one
/// warp and takes one row; it has room for `most`.
#[kernel(
    block = warp_size(),
    requires = (
        x.len() >= values.shape(0) * columns,
        columns >= values.shape(1),
        values.shape(1) <= most,
        values.tile(0) == 1,
        values.tile(1) == values.shape(1),
        indices.shape(0) == values.shape(0),
        indices.shape(1) == values.shape(1),
        indices.tile(0) == 1,
        indices.tile(1) == values.shape(1),
    ),
)]
pub fn top_k_kernel<T: Float>(
    #[comptime] most: usize,
    columns: usize,
    x: &[T],
    values: &mut Part<T, 2>,
    indices: &mut Part<u32, 2>,
) {
    let start = values.origin(0) * columns;
    let row = &x[start..start + columns];
    let found = candidates(most);
    found.gather::<T>(values.shape(1), row);
    for j in 0..values.count(1) {
        let place = found.best[values.global(1, j)];
        values[[0, j]] = row[place as usize];
        indices[[0, j]] = place;
    }
}

/// The `k` greatest elements of each row of a row-major matrix of `columns` columns, the greatest first, and
/// their columns: `values` and `indices` are `rows x k`. Of equal elements the first comes first; NaN is
/// greater than any number, as PyTorch has it.
///
/// ```
/// use kernelsmith::prelude::*;
/// use kernelsmith_kernels::sampling::top_k;
/// # fn main() -> Result<(), kernelsmith_kernels::Error> {
/// let x = Buffer::from_slice(&Device::cpu(), &[1.0f32, 7.0, 3.0, 7.0])?;
/// let mut values = Buffer::<f32>::zeros(x.device(), 3)?;
/// let mut indices = Buffer::<u32>::zeros(x.device(), 3)?;
/// top_k(3, 4, &x, &mut values, &mut indices)?;
/// assert_eq!(values.to_vec()?, [7.0, 7.0, 3.0]);
/// assert_eq!(indices.to_vec()?, [1, 3, 2]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If `k` is 0, more than [`MOST`] or more than `columns`, `x` has no whole number of rows, `values` or
/// `indices` have not `rows * k` elements, or the buffers live on different devices.
pub fn top_k<T: SmallFloat>(
    k: usize,
    columns: usize,
    x: &Buffer<T>,
    values: &mut Buffer<T>,
    indices: &mut Buffer<u32>,
) -> Result<(), Error> {
    check_k("k", k, columns)?;
    let rows = x.len() / columns;
    check_len("x", x.len(), "rows * columns", rows.checked_mul(columns))?;
    check_len("values", values.len(), "rows * k", rows.checked_mul(k))?;
    check_len("indices", indices.len(), "rows * k", rows.checked_mul(k))?;
    if rows == 0 {
        return Ok(());
    }
    let values = View::of_mut(values, [rows, k]).partition([1, k]);
    let indices = View::of_mut(indices, [rows, k]).partition([1, k]);
    top_k_kernel::<T>(room(k), columns, x, values, indices).launch(x.device())?;
    Ok(())
}

/// What there is a kernel for: few sizes, as each is compiled.
pub(super) fn room(k: usize) -> usize {
    k.next_power_of_two().max(32)
}

/// `k` elements of `columns` can be found.
pub(super) fn check_k(argument: &'static str, k: usize, columns: usize) -> Result<(), Error> {
    if columns > u32::MAX as usize {
        return Err(Error::Shape {
            argument: "columns",
            found: format!("the value {columns}"),
            rule: "they are numbered by 32 bits".to_owned(),
        });
    }
    if (1..=MOST.min(columns)).contains(&k) {
        return Ok(());
    }
    Err(Error::Shape {
        argument,
        found: format!("the value {k}"),
        rule: format!("it is from 1 to {MOST} and to the number of columns, {columns}"),
    })
}
