//! A product whose arguments fit each other, and the ways to look at it.

use kernelsmith::BufferView;
use kernelsmith::launch::{ViewArg, ViewMutArg};
use kernelsmith::prelude::*;

use super::element::Factor;
use super::epilogue::Steps;
use super::operand::{Matrix, MatrixMut, Right, normal, normal_strides};
use super::packed::Packed;
use crate::error::{Error, check_len};

/// All of an epilogue but its function.
#[derive(Clone, Copy)]
pub(super) struct Terms<'p, S: Num, O: Num> {
    pub(super) alpha: S,
    pub(super) beta: S,
    pub(super) steps: Steps,
    pub(super) bias: Option<ViewArg<'p, S, 3>>,
    pub(super) residual: Option<ViewArg<'p, O, 3>>,
    /// What sums are multiplied by: `batch x m x n`, with the scales of rows and with those of columns.
    pub(super) scales: [Option<ViewArg<'p, S, 3>>; 2],
}

impl<S: Num, O: Num> Terms<'_, S, O> {
    /// Whether sums are multiplied by scales.
    pub(super) fn has_scales(&self) -> bool {
        self.scales.iter().any(Option::is_some)
    }
}

impl<S: Num, O: Num> Default for Terms<'_, S, O> {
    /// None: C is the sums.
    fn default() -> Self {
        let steps = Steps::default();
        let scales = [None; 2];
        Terms { alpha: S::ONE, beta: S::ZERO, steps, bias: None, residual: None, scales }
    }
}

/// A matrix as one for each of C.
fn view<'p, T: Num>(
    argument: &'static str,
    matrix: Matrix<'p, T>,
    batch: Option<usize>,
) -> Result<ViewArg<'p, T, 3>, Error> {
    let wrong = |rule| Error::Shape { argument, found: matrix.shown(), rule };
    matrix.for_batch(batch).map_err(wrong)
}

/// The right factor.
#[derive(Clone, Copy)]
pub(super) enum B<'p, T: Num> {
    Matrix(ViewArg<'p, T, 3>),
    /// And as the matrices that were packed, which GPUs read.
    Packed(&'p Packed<T>, ViewArg<'p, T, 3>),
}

/// `C = A * B` and an epilogue, of a batch of matrices that fit each other.
#[doc(hidden)]
pub struct Problem<'p, T: Factor<U>, U: Num, O: Num> {
    pub(super) a: ViewArg<'p, T, 3>,
    pub(super) b: B<'p, U>,
    pub(super) c: ViewMutArg<'p, O, 3>,
    pub(super) terms: Terms<'p, T::Sum, O>,
    /// Whether to search for the best way if nobody has.
    pub(super) tuned: bool,
    /// Whether of f32 only the upper 19 bits need be multiplied.
    pub(super) tf32: bool,
}

impl<'p, T: Factor<U>, U: Num, O: Num> Problem<'p, T, U, O> {
    pub(super) fn new(
        a: Matrix<'p, T>,
        b: Right<'p, U>,
        bias: Option<BufferView<'p, T::Sum>>,
        residual: Option<Matrix<'p, O>>,
        c: MatrixMut<'p, O>,
    ) -> Result<Problem<'p, T, U, O>, Error> {
        let (m, k) = a.extents();
        let right = match b {
            Right::Matrix(matrix) => matrix,
            Right::Packed(packed) => packed.matrix(),
        };
        let (b_rows, n) = right.extents();
        let wrong = |argument, found, rule| Err(Error::Shape { argument, found, rule });
        if b_rows != k {
            let rule = format!("it must have as many rows as `a` has columns, {k}");
            return wrong("b", right.shown(), rule);
        }
        let MatrixMut { view: c, batched } = c;
        let [batch, c_rows, c_columns] = c.shape();
        if (c_rows, c_columns) != (m, n) {
            let found = format!("{c_rows} rows and {c_columns} columns");
            let rule = format!("it must have the rows of `a` and the columns of `b`, {m} and {n}");
            return wrong("c", found, rule);
        }
        let all = batched.then_some(batch);
        let a = view("a", a, all)?;
        let whole = view("b", right, all)?;
        a.check("a")?;
        c.check("c")?;
        let b = match b {
            Right::Matrix(_) => {
                whole.check("b")?;
                B::Matrix(normal(whole))
            }
            Right::Packed(packed) => B::Packed(packed, whole),
        };
        let bias = match bias {
            Some(bias) => {
                check_len("bias", bias.len(), "the columns of `c`", Some(n))?;
                Some(View::of(bias, [batch, m, n]).strides([0, 0, 1]))
            }
            None => None,
        };
        let residual = match residual {
            Some(r) if r.extents() != (m, n) => {
                let rule = format!("it must have the rows and columns of `c`, {m} and {n}");
                return wrong("residual", r.shown(), rule);
            }
            Some(r) => {
                let view = view("residual", r, all)?;
                view.check("residual")?;
                Some(view)
            }
            None => None,
        };
        let (shape, strides) = c.layout();
        let c = c.strides(normal_strides(shape, strides));
        let terms = Terms { bias, residual, ..Terms::default() };
        Ok(Problem { a: normal(a), b, c, terms, tuned: false, tf32: false })
    }

    /// Scales of rows and of columns, as wide and as high as C.
    pub(super) fn scales(
        &self,
        [rows, columns]: [Option<BufferView<'p, T::Sum>>; 2],
    ) -> Result<[Option<ViewArg<'p, T::Sum, 3>>; 2], Error> {
        let shape @ [_, m, n] = self.c.shape();
        if let Some(rows) = rows {
            check_len("row scales", rows.len(), "the rows of `c`", Some(m))?;
        }
        if let Some(columns) = columns {
            check_len("column scales", columns.len(), "the columns of `c`", Some(n))?;
        }
        Ok([
            rows.map(|x| View::of(x, shape).strides([0, 1, 0])),
            columns.map(|x| View::of(x, shape).strides([0, 0, 1])),
        ])
    }

    /// Rows, columns and depth.
    pub(super) fn extents(&self) -> (usize, usize, usize) {
        let ([_, m, n], [_, _, k]) = (self.c.shape(), self.a.shape());
        (m, n, k)
    }

    /// Whether elements of a row of C are contiguous; and of a column.
    pub(super) fn c_units(&self) -> [bool; 2] {
        let (shape, strides) = self.c.layout();
        [2, 1].map(|axis| strides[axis] == 1 || shape[axis] == 1)
    }

    /// B, if columns of C are contiguous and its rows are not, or if that is asked for, so that the product
    /// is to be [`transposed`](Self::transposed). Of a packed factor there is no transpose.
    pub(super) fn to_transpose(&self, asked: bool) -> Option<ViewArg<'p, U, 3>> {
        match self.b {
            B::Matrix(b) if asked || self.c_units() == [false, true] => Some(b),
            _ => None,
        }
    }

    /// The same product, of which `b` is the right factor, seen as that of the transposes, in the other
    /// order.
    pub(super) fn transposed(self, b: ViewArg<'p, U, 3>) -> Problem<'p, U, T, O>
    where
        U: Factor<T, Sum = T::Sum>,
    {
        let Problem { a, c, terms, tuned, tf32, .. } = self;
        let bias = terms.bias.map(ViewArg::transposed);
        let residual = terms.residual.map(ViewArg::transposed);
        let [rows, columns] = terms.scales.map(|scales| scales.map(ViewArg::transposed));
        Problem {
            a: b.transposed(),
            b: B::Matrix(a.transposed()),
            c: c.transposed(),
            terms: Terms { bias, residual, scales: [columns, rows], ..terms },
            tuned,
            tf32,
        }
    }
}
