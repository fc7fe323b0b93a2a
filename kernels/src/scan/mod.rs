//! Running sums, and running results of any associative function, of rows and of whole buffers.
//!
//! Results are the same bits from run to run, whatever the number of threads. Running sums of floats are sums
//! of 32 numbers (a warp's), which are added up with what rounding takes from them carried along: an element is
//! off by at most `6 eps` times the sum of magnitudes so far, however many there are, and by one rounding of its
//! own. Where a row of more than 65536 elements is cut into chunks it is at most `100 eps`. `eps` is half a unit
//! of the last place of what is computed in, f32 for f16 and bf16. A NaN stays to the end of its row. Integers
//! wrap.

mod kernel;

pub use kernel::{
    Form, Scan, scan_rows_kernel, scan_rows_kernel_ir, scan_totals_kernel, scan_totals_kernel_ir,
};

use std::ops::Range;

use kernelsmith::Target;
use kernelsmith::prelude::*;

use crate::cut;
use crate::error::{Error, check_len};
use crate::number::Number;

/// The most elements of a row that one block scans, where there are few rows.
const CHUNK: usize = 1 << 14;

/// Rows that are enough for all processors.
const MANY: usize = 8;

/// Elements of a long row that are read twice in a row, for sums of chunks and for the scan: few enough for
/// a CPU's caches to have them still.
const SEGMENT: usize = 1 << 19;

impl Scan {
    /// Running sums of each row of a row-major matrix of `columns` columns; the arithmetic is that of `O`.
    ///
    /// ```
    /// use kernelsmith::prelude::*;
    /// use kernelsmith_kernels::scan::Scan;
    /// # fn main() -> Result<(), kernelsmith_kernels::Error> {
    /// let x = Buffer::from_slice(&Device::cpu(), &[1u8, 2, 3, 200, 100, 0])?;
    /// let mut y = Buffer::<u32>::zeros(x.device(), 6)?;
    /// Scan::Inclusive.sums(3, &x, &mut y)?;
    /// assert_eq!(y.to_vec()?, [1, 3, 6, 200, 300, 300]);
    /// Scan::Exclusive.sums(6, &x, &mut y)?;
    /// assert_eq!(y.to_vec()?, [0, 1, 3, 6, 206, 306]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If `x` and `y` differ in length, their length is no multiple of `columns`, or they live on different
    /// devices.
    pub fn sums<T: Number, O: Number>(
        self,
        columns: usize,
        x: &Buffer<T>,
        y: &mut Buffer<O>,
    ) -> Result<(), Error> {
        let form = Form { scan: self, sum: true, compensated: !O::TYPE.is_int() };
        run::<T, O, _>(form, columns, O::Wide::ZERO, x, y, |a, b| a + b)
    }

    /// Running results of an associative function of each row of a row-major matrix of `columns` columns:
    /// running maxima are `Scan::Inclusive.by(n, f32::NEG_INFINITY, &x, &mut y, |a, b| a.max(b))`.
    /// `combine(identity, x)` is `x`. The order of arguments is kept, the grouping is not.
    ///
    /// # Errors
    /// As [`sums`](Self::sums), and if `combine` captures anything.
    pub fn by<T: Number, O: Number, F>(
        self,
        columns: usize,
        identity: O::Wide,
        x: &Buffer<T>,
        y: &mut Buffer<O>,
        combine: F,
    ) -> Result<(), Error>
    where
        F: Fn(Val<O::Wide>, Val<O::Wide>) -> Val<O::Wide> + Copy + 'static,
    {
        let form = Form { scan: self, sum: false, compensated: false };
        run::<T, O, F>(form, columns, identity, x, y, combine)
    }
}

fn run<T: Number, O: Number, F>(
    form: Form,
    columns: usize,
    identity: O::Wide,
    x: &Buffer<T>,
    y: &mut Buffer<O>,
    combine: F,
) -> Result<(), Error>
where
    F: Fn(Val<O::Wide>, Val<O::Wide>) -> Val<O::Wide> + Copy + 'static,
{
    check_len("x", x.len(), "y.len()", Some(y.len()))?;
    let rows = y.len().checked_div(columns).unwrap_or(0);
    check_len("y", y.len(), "rows * columns", rows.checked_mul(columns))?;
    if rows == 0 || columns == 0 {
        return Ok(());
    }
    let (device, len) = (y.device().clone(), y.len());
    let streaming = cut::streams::<O>(device.target(), len);
    if rows < MANY && columns > 4 * CHUNK {
        for row in 0..rows {
            long_row::<T, O, F>(
                form,
                streaming,
                row * columns..(row + 1) * columns,
                identity,
                x,
                y,
                combine,
            )?;
        }
        return Ok(());
    }
    let y = View::of_mut(y, [rows, columns]);
    let y = y.partition([cut::rows(device.target(), columns), columns]);
    scan_rows_kernel::<T, O::Wide, O, F>(
        form, streaming, columns, 0, identity, combine, None, x, y,
    )
    .launch(&device)?;
    Ok(())
}

/// A row in chunks of which each block has one: what chunks come to, then the scans.
fn long_row<T: Number, O: Number, F>(
    form: Form,
    streaming: bool,
    row: Range<usize>,
    identity: O::Wide,
    x: &Buffer<T>,
    y: &mut Buffer<O>,
    combine: F,
) -> Result<(), Error>
where
    F: Fn(Val<O::Wide>, Val<O::Wide>) -> Val<O::Wide> + Copy + 'static,
{
    let device = y.device().clone();
    // SAFETY: every total that is read has been written.
    let mut totals = unsafe { Buffer::<O::Wide>::uninit(&device, row.len().div_ceil(CHUNK)) }?;
    let segment = if *device.target() == Target::Cpu { SEGMENT } else { row.len() };
    for start in (0..row.len()).step_by(segment) {
        let len = segment.min(row.len() - start);
        let at = row.start + start..row.start + start + len;
        let (first, chunks) = (start / CHUNK, len.div_ceil(CHUNK));
        let from = x.slice(at.clone())?;
        let to = View::of_mut(totals.slice_mut(first..first + chunks)?, [1, chunks]);
        scan_totals_kernel::<T, O::Wide, F>(
            form,
            CHUNK,
            identity,
            combine,
            from,
            to.partition([1, 1]),
        )
        .launch(&device)?;
        let to = View::of_mut(y.slice_mut(at)?, [1, len]).partition([1, CHUNK]);
        let before = Some(&totals);
        scan_rows_kernel::<T, O::Wide, O, F>(
            form, streaming, len, first, identity, combine, before, from, to,
        )
        .launch(&device)?;
    }
    Ok(())
}
