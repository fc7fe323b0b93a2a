//! What products are taken of and written to: views of matrices and of batches of them.

use kernelsmith::launch::{ViewArg, ViewMutArg};
use kernelsmith::prelude::*;

use super::packed::Packed;

/// A matrix or a batch of matrices: made of a [`View`] of two or three dimensions.
#[derive(Clone, Copy)]
pub struct Matrix<'a, T: Num> {
    /// `batch x rows x columns`.
    pub(super) view: ViewArg<'a, T, 3>,
    /// Of two dimensions, one matrix serves a whole batch.
    pub(super) batched: bool,
}

impl<'a, T: Num> From<ViewArg<'a, T, 2>> for Matrix<'a, T> {
    fn from(view: ViewArg<'a, T, 2>) -> Self {
        let ([rows, columns], [down, along]) = view.layout();
        let view = View::of(view.data(), [1, rows, columns]).strides([0, down, along]);
        Matrix { view, batched: false }
    }
}

impl<'a, T: Num> From<ViewArg<'a, T, 3>> for Matrix<'a, T> {
    fn from(view: ViewArg<'a, T, 3>) -> Self {
        Matrix { view, batched: true }
    }
}

impl<'a, T: Num> Matrix<'a, T> {
    /// Rows and columns.
    pub(super) fn extents(&self) -> (usize, usize) {
        let [_, rows, columns] = self.view.shape();
        (rows, columns)
    }

    /// As errors show it.
    pub(super) fn shown(&self) -> String {
        let [batch, rows, columns] = self.view.shape();
        match self.batched {
            true => format!("shape [{batch}, {rows}, {columns}]"),
            false => format!("shape [{rows}, {columns}]"),
        }
    }

    /// As `batch` matrices, if it is one or as many; else the rule it breaks.
    pub(super) fn for_batch(self, batch: Option<usize>) -> Result<ViewArg<'a, T, 3>, String> {
        let ([own, rows, columns], [_, down, along]) = self.view.layout();
        match (self.batched, batch) {
            (false, batch) => {
                let view = View::of(self.view.data(), [batch.unwrap_or(1), rows, columns]);
                Ok(view.strides([0, down, along]))
            }
            (true, Some(batch)) if own == batch => Ok(self.view),
            (true, Some(batch)) => {
                Err(format!("`c` is a batch of {batch}: so must it be, or of two dimensions"))
            }
            (true, None) => Err("`c` has two dimensions: so must it".to_owned()),
        }
    }
}

/// A matrix or a batch of matrices to be written: made of a [`View`] of two or three dimensions.
pub struct MatrixMut<'a, T: Num> {
    pub(super) view: ViewMutArg<'a, T, 3>,
    pub(super) batched: bool,
}

impl<'a, T: Num> From<ViewMutArg<'a, T, 2>> for MatrixMut<'a, T> {
    fn from(view: ViewMutArg<'a, T, 2>) -> Self {
        let ([rows, columns], [down, along]) = view.layout();
        let view = View::of_mut(view.into_data(), [1, rows, columns]).strides([0, down, along]);
        MatrixMut { view, batched: false }
    }
}

impl<'a, T: Num> From<ViewMutArg<'a, T, 3>> for MatrixMut<'a, T> {
    fn from(view: ViewMutArg<'a, T, 3>) -> Self {
        MatrixMut { view, batched: true }
    }
}

/// The right factor: a matrix as it is, or packed.
#[derive(Clone, Copy)]
pub enum Right<'a, T: Num> {
    /// As it is.
    Matrix(Matrix<'a, T>),
    /// Packed before.
    Packed(&'a Packed<T>),
}

impl<'a, T: Num, const R: usize> From<ViewArg<'a, T, R>> for Right<'a, T>
where
    ViewArg<'a, T, R>: Into<Matrix<'a, T>>,
{
    fn from(view: ViewArg<'a, T, R>) -> Self {
        Right::Matrix(view.into())
    }
}

impl<'a, T: Num> From<&'a Packed<T>> for Right<'a, T> {
    fn from(packed: &'a Packed<T>) -> Self {
        Right::Packed(packed)
    }
}

/// Whether elements that follow each other along an axis do so in memory.
pub(super) fn is_unit<T: Num>(view: &ViewArg<'_, T, 3>, axis: usize) -> bool {
    let (shape, strides) = view.layout();
    strides[axis] == 1 || shape[axis] == 1
}

/// The strides of axes of one element, which do not matter, as 1.
pub(super) fn normal<'a, T: Num>(view: ViewArg<'a, T, 3>) -> ViewArg<'a, T, 3> {
    let (shape, strides) = view.layout();
    view.strides(normal_strides(shape, strides))
}

/// See [`normal`].
pub(super) fn normal_strides(shape: [usize; 3], strides: [usize; 3]) -> [usize; 3] {
    std::array::from_fn(|axis| if shape[axis] == 1 { 1 } else { strides[axis] })
}
