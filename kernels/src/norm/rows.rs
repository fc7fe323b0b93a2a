//! What all norms of rows have in common.

use kernelsmith::prelude::*;

use crate::error::{Error, check_len};

/// The number of rows of `columns` columns that `x` and `y` both have.
pub(super) fn check_rows<T: Float>(
    columns: usize,
    x: &Buffer<T>,
    y: &Buffer<T>,
) -> Result<usize, Error> {
    check_len("x", x.len(), "y.len()", Some(y.len()))?;
    let rows = y.len().checked_div(columns).unwrap_or(0);
    check_len("y", y.len(), "rows * columns", rows.checked_mul(columns))?;
    Ok(rows)
}
