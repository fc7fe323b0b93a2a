use kernelsmith::prelude::*;

use crate::cut::{rows, streams};
use crate::error::{Error, check_len};
use crate::number::Number;

/// `y[i] = table[ids[i]]`, row by row. A block is one warp and takes whole rows. Rows that memory cannot
/// foresee are asked for one ahead.
#[kernel(
    block = warp_size(),
    requires = (ids.len() >= y.shape(0), y.tile(1) >= y.shape(1)),
)]
pub fn embedding_kernel<T: Num>(
    #[comptime] streaming: bool,
    vocabulary: usize,
    ids: &[u32],
    table: &[T],
    y: &mut Part<T, 2>,
) {
    let columns = y.shape(1);
    for i in 0..y.count(0) {
        let at = y.global(0, i);
        let id = ids[at];
        device_assert!(
            (id as usize) < vocabulary,
            "ids[{at}] is {id}, but the table has {vocabulary} rows"
        );
        let row = &table[id as usize * columns..id as usize * columns + columns];
        let next = ids[(at + 1).min(y.shape(0) - 1)] as usize;
        for j in 0..y.count(1) {
            let column = y.global(1, j);
            table.prefetch(next * columns + column);
            if streaming {
                y.store_streaming([i, j], row[column]);
            } else {
                y[[i, j]] = row[column];
            }
        }
    }
}

/// Rows of a `vocabulary x columns` table, row-major: row `i` of `y` is row `ids[i]` of the table.
///
/// An id that the table has no row for ends the launch with an error, which comes back when the device is
/// next waited for.
///
/// ```
/// use kernelsmith::prelude::*;
/// use kernelsmith_kernels::embedding::embedding;
/// # fn main() -> Result<(), kernelsmith_kernels::Error> {
/// let device = Device::cpu();
/// let table = Buffer::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0])?;
/// let mut y = Buffer::<f32>::zeros(&device, 4)?;
/// embedding(2, &Buffer::from_slice(&device, &[1u32, 0])?, &table, &mut y)?;
/// assert_eq!(y.to_vec()?, [3.0, 4.0, 1.0, 2.0]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If the table has no whole number of rows of `columns`, `y` has not `ids.len() * columns` elements, or the
/// buffers live on different devices.
pub fn embedding<T: Number>(
    columns: usize,
    ids: &Buffer<u32>,
    table: &Buffer<T>,
    y: &mut Buffer<T>,
) -> Result<(), Error> {
    let vocabulary = table.len().checked_div(columns).unwrap_or(0);
    check_len("table", table.len(), "vocabulary * columns", vocabulary.checked_mul(columns))?;
    check_len("y", y.len(), "ids.len() * columns", ids.len().checked_mul(columns))?;
    if y.is_empty() {
        return Ok(());
    }
    let (device, len) = (y.device().clone(), y.len());
    let target = device.target();
    let y = View::of_mut(y, [ids.len(), columns]).partition([rows(target, columns), columns]);
    embedding_kernel::<T>(streams::<T>(target, len), vocabulary, ids, table, y).launch(&device)?;
    Ok(())
}
