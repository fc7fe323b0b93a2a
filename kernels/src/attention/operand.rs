//! What attention reads and writes: buffers as they are, or views.

use kernelsmith::launch::{ViewArg, ViewMutArg};
use kernelsmith::prelude::*;
use kernelsmith::{BufferView, BufferViewMut};

use crate::error::{Error, check_len};

/// Shape and strides of a tensor.
type Layout = ([usize; 4], [usize; 4]);

/// How a tensor was given.
#[derive(Clone, Copy)]
enum Given {
    /// Dense, of the shape that is expected.
    Buffer,
    /// A view of three dimensions.
    Three([usize; 3], [usize; 3]),
    /// A view of four dimensions.
    Four([usize; 4], [usize; 4]),
}

/// Queries, keys or values: made of a `&Buffer` or a [`View`], whose strides may be any.
#[derive(Clone, Copy)]
pub struct Heads<'a, T: Stored> {
    data: BufferView<'a, T>,
    given: Given,
}

/// An output: made of a `&mut Buffer` or a [`View`], whose strides may be any.
pub struct HeadsMut<'a, T: Num> {
    data: BufferViewMut<'a, T>,
    given: Given,
}

impl<'a, T: Stored> From<&'a Buffer<T>> for Heads<'a, T> {
    fn from(buffer: &'a Buffer<T>) -> Self {
        Heads { data: buffer.view(), given: Given::Buffer }
    }
}

impl<'a, T: Stored> From<ViewArg<'a, T, 3>> for Heads<'a, T> {
    fn from(view: ViewArg<'a, T, 3>) -> Self {
        let (shape, strides) = view.layout();
        Heads { data: view.data(), given: Given::Three(shape, strides) }
    }
}

impl<'a, T: Stored> From<ViewArg<'a, T, 4>> for Heads<'a, T> {
    fn from(view: ViewArg<'a, T, 4>) -> Self {
        let (shape, strides) = view.layout();
        Heads { data: view.data(), given: Given::Four(shape, strides) }
    }
}

impl<'a, T: Num> From<&'a mut Buffer<T>> for HeadsMut<'a, T> {
    fn from(buffer: &'a mut Buffer<T>) -> Self {
        HeadsMut { data: buffer.view_mut(), given: Given::Buffer }
    }
}

impl<'a, T: Num> From<ViewMutArg<'a, T, 3>> for HeadsMut<'a, T> {
    fn from(view: ViewMutArg<'a, T, 3>) -> Self {
        let (shape, strides) = view.layout();
        HeadsMut { data: view.into_data(), given: Given::Three(shape, strides) }
    }
}

impl<'a, T: Num> From<ViewMutArg<'a, T, 4>> for HeadsMut<'a, T> {
    fn from(view: ViewMutArg<'a, T, 4>) -> Self {
        let (shape, strides) = view.layout();
        HeadsMut { data: view.into_data(), given: Given::Four(shape, strides) }
    }
}

/// The shape that a tensor is to have.
#[derive(Clone, Copy)]
pub(super) enum Expected {
    /// `batch x heads x rows x d`.
    Batch([usize; 4], &'static str),
    /// `tokens x heads x d`, of any number of tokens.
    Packed([usize; 2], &'static str),
    /// `pages x page x heads x d`, of any number of pages of any size.
    Pages([usize; 2], &'static str),
}

impl<'a, T: Stored> Heads<'a, T> {
    /// As `outer x heads x rows x d`: batches as they are, tokens as one sequence, pages for sequences.
    pub(super) fn place(
        self,
        argument: &'static str,
        expected: Expected,
    ) -> Result<ViewArg<'a, T, 4>, Error> {
        let (shape, strides) = place(argument, self.data.len(), self.given, expected)?;
        Ok(View::of(self.data, shape).strides(strides))
    }
}

impl<'a, T: Num> HeadsMut<'a, T> {
    /// As [`Heads::place`].
    pub(super) fn place(
        self,
        argument: &'static str,
        expected: Expected,
    ) -> Result<ViewMutArg<'a, T, 4>, Error> {
        let (shape, strides) = place(argument, self.data.len(), self.given, expected)?;
        Ok(View::of_mut(self.data, shape).strides(strides))
    }
}

fn place(
    argument: &'static str,
    len: usize,
    given: Given,
    expected: Expected,
) -> Result<Layout, Error> {
    let wrong = |found: String, rule: String| Err(Error::Shape { argument, found, rule });
    match (expected, given) {
        (Expected::Batch(shape, formula), Given::Buffer) => {
            let elements = shape.into_iter().try_fold(1usize, usize::checked_mul);
            check_len(argument, len, formula, elements)?;
            let [_, heads, rows, d] = shape;
            Ok((shape, [heads * rows * d, rows * d, d, 1]))
        }
        (Expected::Batch(shape, _), Given::Four(found, strides)) if found == shape => {
            Ok((shape, strides))
        }
        (Expected::Packed([heads, d], formula), Given::Buffer) => {
            let row = heads * d;
            if row == 0 || !len.is_multiple_of(row) {
                let rule = format!("it must have {formula}, a multiple of {row}");
                return wrong(format!("{len} elements"), rule);
            }
            Ok(([1, heads, len / row, d], [len, d, row, 1]))
        }
        (Expected::Packed([heads, d], _), Given::Three([rows, h, e], [down, across, along]))
            if [h, e] == [heads, d] =>
        {
            Ok(([1, heads, rows, d], [0, across, down, along]))
        }
        (
            Expected::Pages([heads, d], _),
            Given::Four([pages, page, h, e], [apart, down, across, along]),
        ) if [h, e] == [heads, d] && page > 0 => {
            Ok(([pages, heads, page, d], [apart, across, down, along]))
        }
        (_, given) => wrong(given.shown(len), expected.rule()),
    }
}

impl Given {
    /// As errors show it.
    fn shown(self, len: usize) -> String {
        match self {
            Given::Buffer => format!("{len} elements"),
            Given::Three(shape, _) => format!("shape {shape:?}"),
            Given::Four(shape, _) => format!("shape {shape:?}"),
        }
    }
}

impl Expected {
    /// What a view must be.
    fn rule(self) -> String {
        match self {
            Expected::Batch(shape, formula) => {
                let named = formula.replace(" * ", " x ");
                format!("it must be a buffer or a view of {named} = {shape:?}")
            }
            Expected::Packed([heads, d], formula) => {
                let named = formula.replace(" * ", " x ");
                format!("it must be a buffer or a view of {named}, [.., {heads}, {d}]")
            }
            Expected::Pages([heads, d], formula) => {
                let named = formula.replace(" * ", " x ");
                format!("it must be a view of {named}, [.., .., {heads}, {d}]")
            }
        }
    }
}

/// Whether the rows of each head follow each other, as [`gather_rows`](super::gather_rows) makes them.
pub(super) fn is_dense<T: Float>(view: &ViewArg<'_, T, 4>) -> bool {
    let ([outer, heads, rows, d], strides) = view.layout();
    let dense = [heads * rows * d, rows * d, d, 1];
    let one = [outer, heads, rows, d].map(|n| n == 1);
    (0..4).all(|axis| one[axis] || strides[axis] == dense[axis])
}
