//! Sums, means, extremes and norms of rows, columns and whole buffers, and where extremes are.
//!
//! Results are the same bits from run to run, whatever the number of threads: how numbers are grouped
//! follows from shapes alone. Sums of floats of `n` numbers in one row or buffer are off by at most
//! `(88 + n / 8192) eps` times the sum of magnitudes (up to 65536 numbers; above, `190 eps` for each factor of
//! 65536 beyond), those of columns of `n` rows by `260 eps` for each factor of 256 in `n`; `eps` is half a
//! unit of the last place of what is computed in, f32 for f16 and bf16. In practice it is some units.
//! Integers wrap.
//!
//! A NaN makes NaN of sums and of extremes alike, and is the place of both extremes.

mod arg;
mod arithmetic;
mod columns;
mod rows;

pub use arg::{
    Extreme, extreme_columns_kernel, extreme_columns_kernel_ir, extreme_rows_kernel,
    extreme_rows_kernel_ir,
};
pub use arithmetic::{Reduction, Step};
pub use columns::{reduce_columns_kernel, reduce_columns_kernel_ir};
pub(crate) use rows::reduce_run;
pub use rows::{reduce_rows_kernel, reduce_rows_kernel_ir};

use kernelsmith::prelude::*;

use crate::error::{Error, check_len};
use crate::number::Number;

impl Reduction {
    /// Of each row of a row-major matrix of `columns` columns: `y[i]` of row `i`.
    ///
    /// The arithmetic is that of `O`: sums of bytes as `i32` do not wrap, sums of `f32` as `f64` hardly round.
    ///
    /// ```
    /// use kernelsmith::prelude::*;
    /// use kernelsmith_kernels::reduce::Reduction;
    /// # fn main() -> Result<(), kernelsmith_kernels::Error> {
    /// let x = Buffer::from_slice(&Device::cpu(), &[1.0f32, 2.0, 3.0, 4.0])?;
    /// let mut y = Buffer::<f32>::zeros(x.device(), 2)?;
    /// Reduction::Sum.rows(2, &x, &mut y)?;
    /// assert_eq!(y.to_vec()?, [3.0, 7.0]);
    /// Reduction::Max.columns(2, &x, &mut y)?;
    /// assert_eq!(y.to_vec()?, [3.0, 4.0]);
    /// assert_eq!(Reduction::Mean.value::<f32, f32>(&x)?, 2.5);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If `x` has not `y.len() * columns` elements, this is an extreme of no numbers, or a mean or norm that
    /// is to be an integer, or the buffers live on different devices.
    pub fn rows<T: Number, O: Number>(
        self,
        columns: usize,
        x: &Buffer<T>,
        y: &mut Buffer<O>,
    ) -> Result<(), Error> {
        let rows = y.len();
        check_len("x", x.len(), "y.len() * columns", rows.checked_mul(columns))?;
        self.check::<O>(columns)?;
        rows::reduce(self, [rows, columns], x, y)
    }

    /// Of each column of a row-major matrix: `y[j]` of column `j`, of as many as `y` is long.
    ///
    /// # Errors
    /// If `x` has no multiple of `y.len()` elements; else as [`rows`](Self::rows).
    pub fn columns<T: Number, O: Number>(
        self,
        rows: usize,
        x: &Buffer<T>,
        y: &mut Buffer<O>,
    ) -> Result<(), Error> {
        let columns = y.len();
        check_len("x", x.len(), "rows * y.len()", rows.checked_mul(columns))?;
        self.check::<O>(rows)?;
        columns::reduce(self, [rows, columns], x, y)
    }

    /// Of all elements, into the only one of `y`.
    ///
    /// # Errors
    /// If `y` has not one element; else as [`rows`](Self::rows).
    pub fn all<T: Number, O: Number>(self, x: &Buffer<T>, y: &mut Buffer<O>) -> Result<(), Error> {
        check_len("y", y.len(), "a single element", Some(1))?;
        self.rows(x.len(), x, y)
    }

    /// Of all elements, on the host: waits for the device.
    ///
    /// # Errors
    /// As [`rows`](Self::rows), and what went wrong in earlier launches.
    pub fn value<T: Number, O: Number>(self, x: &Buffer<T>) -> Result<O, Error> {
        let mut y = Buffer::<O>::zeros(x.device(), 1)?;
        self.all(x, &mut y)?;
        Ok(y.to_vec()?[0])
    }

    fn check<O: Number>(self, count: usize) -> Result<(), Error> {
        if count == 0 && matches!(self, Reduction::Max | Reduction::Min) {
            return Err(Error::Shape {
                argument: "x",
                found: "no elements to compare".to_owned(),
                rule: "there is an extreme of one or more".to_owned(),
            });
        }
        if O::TYPE.is_int() && matches!(self, Reduction::Mean | Reduction::Norm) {
            return Err(Error::Shape {
                argument: "y",
                found: format!("elements of type {}", O::TYPE),
                rule: "means and norms are floats".to_owned(),
            });
        }
        Ok(())
    }
}
