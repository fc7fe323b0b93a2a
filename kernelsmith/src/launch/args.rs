//! Slices and tensor views as arguments of launches.

use kernelsmith_runtime::{Buffer, BufferView, BufferViewMut, Device, Element};

use super::Error;

/// What a `&[T]` parameter takes: a buffer, or a part of one.
pub struct SliceArg<'a, T: Element>(pub(crate) BufferView<'a, T>);

/// What a `&mut [T]` parameter takes: a buffer, or a part of one.
pub struct SliceMutArg<'a, T: Element>(pub(crate) BufferViewMut<'a, T>);

impl<'a, T: Element> SliceArg<'a, T> {
    /// The elements.
    pub fn view(&self) -> BufferView<'a, T> {
        self.0
    }
}

impl<'a, T: Element> From<&'a Buffer<T>> for SliceArg<'a, T> {
    fn from(buffer: &'a Buffer<T>) -> Self {
        SliceArg(buffer.view())
    }
}

impl<'a, T: Element> From<BufferView<'a, T>> for SliceArg<'a, T> {
    fn from(view: BufferView<'a, T>) -> Self {
        SliceArg(view)
    }
}

impl<'a, T: Element> From<&'a mut Buffer<T>> for SliceMutArg<'a, T> {
    fn from(buffer: &'a mut Buffer<T>) -> Self {
        SliceMutArg(buffer.view_mut())
    }
}

impl<'a, T: Element> From<BufferViewMut<'a, T>> for SliceMutArg<'a, T> {
    fn from(view: BufferViewMut<'a, T>) -> Self {
        SliceMutArg(view)
    }
}

/// Makes tensor views of buffers and parts of buffers: `View::of(&buffer, [rows, columns])`. As a
/// type it only names the parameters of kernels: `&View<f32, 2>`.
pub struct View;

impl View {
    /// A row-major tensor.
    pub fn of<'a, T: Element, const R: usize>(
        data: impl Into<SliceArg<'a, T>>,
        shape: [usize; R],
    ) -> ViewArg<'a, T, R> {
        ViewArg { data: data.into().0, shape, strides: row_major(shape) }
    }

    /// A row-major tensor to be written.
    pub fn of_mut<'a, T: Element, const R: usize>(
        data: impl Into<SliceMutArg<'a, T>>,
        shape: [usize; R],
    ) -> ViewMutArg<'a, T, R> {
        ViewMutArg { data: data.into().0, shape, strides: row_major(shape) }
    }
}

/// Strides of a dense row-major tensor; they wrap where the tensor is larger than memory, which
/// the check of its extent finds.
fn row_major<const R: usize>(shape: [usize; R]) -> [usize; R] {
    let mut strides = [1usize; R];
    for axis in (0..R.saturating_sub(1)).rev() {
        strides[axis] = strides[axis + 1].wrapping_mul(shape[axis + 1]);
    }
    strides
}

/// How many dimensions a kernel can index.
fn check_rank<const R: usize>(name: &str) -> Result<(), Error> {
    if (1..=4).contains(&R) {
        return Ok(());
    }
    Err(Error::Argument {
        argument: name.to_owned(),
        value: format!("a view of {R} dimensions"),
        rule: "views have 1 to 4 dimensions".to_owned(),
    })
}

/// Every element must lie in the buffer: the last one's offset is checked, in 128 bits.
fn check_inside<const R: usize>(
    name: &str,
    len: usize,
    shape: [usize; R],
    strides: [usize; R],
) -> Result<(), Error> {
    if shape.contains(&0) {
        return Ok(());
    }
    let last: u128 = shape.iter().zip(&strides).map(|(&n, &s)| (n as u128 - 1) * s as u128).sum();
    if last < len as u128 {
        return Ok(());
    }
    Err(Error::Argument {
        argument: name.to_owned(),
        value: format!("a view of shape {shape:?} and strides {strides:?}"),
        rule: format!("its last element is at {last}, but the buffer has {len} elements"),
    })
}

/// No two indices of an output may name one element, or threads would race for it. Told by the
/// strides in rising order: each must step over all that the smaller ones reach.
fn check_distinct<const R: usize>(
    name: &str,
    shape: [usize; R],
    strides: [usize; R],
) -> Result<(), Error> {
    if shape.contains(&0) {
        return Ok(());
    }
    let mut axes: [(usize, usize); R] = std::array::from_fn(|axis| (strides[axis], shape[axis]));
    axes.sort_unstable();
    let mut reach = 0u128;
    for (stride, n) in axes.into_iter().filter(|&(_, n)| n > 1) {
        if stride as u128 <= reach {
            return Err(Error::Argument {
                argument: name.to_owned(),
                value: format!("a view of shape {shape:?} and strides {strides:?}"),
                rule: format!(
                    "an output's indices must name different elements, but stride {stride} does \
                     not step over the {} elements that smaller strides reach",
                    reach + 1
                ),
            });
        }
        reach += (n as u128 - 1) * stride as u128;
    }
    Ok(())
}

macro_rules! views {
    ($(#[$meta:meta] $name:ident $data:ident $distinct:literal;)*) => {$(
        #[$meta]
        pub struct $name<'a, T: Element, const R: usize> {
            pub(crate) data: $data<'a, T>,
            shape: [usize; R],
            strides: [usize; R],
        }

        impl<T: Element, const R: usize> $name<'_, T, R> {
            /// Sets the elements from one index to the next along each axis. In outputs, no two
            /// indices may name the same element, else the launch is an error.
            #[must_use]
            pub fn strides(self, strides: [usize; R]) -> Self {
                Self { strides, ..self }
            }

            /// The last two axes exchanged: of a matrix, its transpose.
            #[must_use]
            pub fn transposed(self) -> Self {
                let (mut shape, mut strides) = (self.shape, self.strides);
                if R >= 2 {
                    shape.swap(R - 2, R - 1);
                    strides.swap(R - 2, R - 1);
                }
                Self { shape, strides, ..self }
            }

            /// The axes in another order: axis `i` is what axis `axes[i]` was.
            ///
            /// # Errors
            /// [`Error::Argument`] if `axes` are not `0..R` in some order.
            pub fn permuted(self, axes: [usize; R]) -> Result<Self, Error> {
                if !(0..R).all(|axis| axes.contains(&axis)) {
                    return Err(Error::Argument {
                        argument: "axes".to_owned(),
                        value: format!("{axes:?}"),
                        rule: format!("they are 0 to {} in some order", R - 1),
                    });
                }
                let (shape, strides) = (axes.map(|i| self.shape[i]), axes.map(|i| self.strides[i]));
                Ok(Self { shape, strides, ..self })
            }

            /// The number of elements along each axis.
            pub fn shape(&self) -> [usize; R] {
                self.shape
            }

            /// The number of elements along each axis, and from one index to the next along each.
            pub fn layout(&self) -> ([usize; R], [usize; R]) {
                (self.shape, self.strides)
            }

            /// The address of the first element on its device.
            pub fn address(&self) -> u64 {
                self.data.address()
            }

            /// The device the elements are on.
            pub fn device(&self) -> &Device {
                self.data.device()
            }

            /// What a launch asks of the argument of this name: that every element lies in the buffer
            /// and, in outputs, that no two indices name one element.
            ///
            /// # Errors
            /// [`Error::Argument`].
            pub fn check(&self, name: &str) -> Result<(), Error> {
                check_rank::<R>(name)?;
                self.check_elements(name)
            }

            /// As [`check`](Self::check), for any number of dimensions.
            pub(crate) fn check_elements(&self, name: &str) -> Result<(), Error> {
                check_inside(name, self.data.len(), self.shape, self.strides)?;
                if $distinct { check_distinct(name, self.shape, self.strides) } else { Ok(()) }
            }
        }
    )*};
}

views! {
    /// What `&View<T, R>` and `&TensorMap<T, R>` parameters take; see [`View::of`].
    ViewArg BufferView false;
    /// What `&mut View<T, R>` and `&mut TensorMap<T, R>` parameters take; see [`View::of_mut`].
    ViewMutArg BufferViewMut true;
}

impl<T: Element, const R: usize> Clone for ViewArg<'_, T, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Element, const R: usize> Copy for ViewArg<'_, T, R> {}

impl<'a, T: Element, const R: usize> ViewArg<'a, T, R> {
    /// The elements it is a view of.
    pub fn data(&self) -> BufferView<'a, T> {
        self.data
    }
}

impl<'a, T: Element, const R: usize> ViewMutArg<'a, T, R> {
    /// The same view, for a shorter time.
    pub fn reborrow(&mut self) -> ViewMutArg<'_, T, R> {
        let ViewMutArg { ref mut data, shape, strides } = *self;
        ViewMutArg { data: data.reborrow(), shape, strides }
    }

    /// The elements it is a view of.
    pub fn into_data(self) -> BufferViewMut<'a, T> {
        self.data
    }
}

/// What a kernel's `&[T]` takes at launch.
#[diagnostic::on_unimplemented(
    message = "a kernel's `&[{T}]` takes a `&Buffer<{T}>` or a view of one, not `{Self}`",
    note = "data of the host is copied to the device first: `Buffer::from_slice(&device, &data)?`"
)]
pub trait SliceArgument<'a, T: Element> {
    /// The argument.
    fn argument(self) -> SliceArg<'a, T>;
}

#[diagnostic::do_not_recommend]
impl<'a, T: Element, X: Into<SliceArg<'a, T>>> SliceArgument<'a, T> for X {
    fn argument(self) -> SliceArg<'a, T> {
        self.into()
    }
}

/// What a kernel's `&mut [T]` takes at launch.
#[diagnostic::on_unimplemented(
    message = "a kernel's `&mut [{T}]` takes a `&mut Buffer<{T}>` or a mutable view of one, not \
               `{Self}`",
    note = "data of the host is copied to the device first: `Buffer::from_slice(&device, &data)?`"
)]
pub trait SliceMutArgument<'a, T: Element> {
    /// The argument.
    fn argument(self) -> SliceMutArg<'a, T>;
}

#[diagnostic::do_not_recommend]
impl<'a, T: Element, X: Into<SliceMutArg<'a, T>>> SliceMutArgument<'a, T> for X {
    fn argument(self) -> SliceMutArg<'a, T> {
        self.into()
    }
}
