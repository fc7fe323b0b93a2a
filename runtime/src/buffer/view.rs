//! Parts of buffers.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};

use super::{Buffer, RawBuffer};
use crate::device::Device;
use crate::element::Element;
use crate::error::{Error, Result};

/// Elements of a buffer, to read.
pub struct BufferView<'a, T: Element> {
    raw: &'a RawBuffer,
    offset: usize,
    len: usize,
    element: PhantomData<&'a [T]>,
}

/// Elements of a buffer, to read and write. No other view reaches them.
pub struct BufferViewMut<'a, T: Element> {
    raw: &'a RawBuffer,
    offset: usize,
    len: usize,
    element: PhantomData<&'a mut [T]>,
}

/// Offset and length of a range within `len` elements.
fn resolve(range: impl RangeBounds<usize>, len: usize) -> Result<(usize, usize)> {
    let start = match range.start_bound() {
        Bound::Unbounded => Some(0),
        Bound::Included(&start) => Some(start),
        Bound::Excluded(&before) => before.checked_add(1),
    };
    let end = match range.end_bound() {
        Bound::Unbounded => Some(len),
        Bound::Included(&last) => last.checked_add(1),
        Bound::Excluded(&end) => Some(end),
    };
    match (start, end) {
        (Some(start), Some(end)) if start <= end && end <= len => Ok((start, end - start)),
        _ => {
            let shown = format!("{:?}..{:?}", range.start_bound(), range.end_bound());
            Err(Error::invalid("range", shown, format!("must lie within 0..{len}")))
        }
    }
}

impl<'a, T: Element> BufferView<'a, T> {
    pub(super) fn new(raw: &'a RawBuffer, offset: usize, len: usize) -> BufferView<'a, T> {
        BufferView { raw, offset, len, element: PhantomData }
    }

    /// Some of the elements.
    ///
    /// # Errors
    /// The range does not lie within the view.
    pub fn slice(self, range: impl RangeBounds<usize>) -> Result<BufferView<'a, T>> {
        let (offset, len) = resolve(range, self.len)?;
        Ok(BufferView::new(self.raw, self.offset + offset, len))
    }

    /// The elements, when what writes them is done.
    ///
    /// # Errors
    /// A kernel that wrote them failed a check; the driver's.
    pub fn to_vec(self) -> Result<Vec<T>> {
        let mut values = vec![T::zeroed(); self.len];
        self.copy_to(&mut values)?;
        Ok(values)
    }

    /// Copies the elements to the host, when what writes them is done.
    ///
    /// # Errors
    /// `values` has another length; a kernel that wrote them failed a check; the driver's.
    pub fn copy_to(self, values: &mut [T]) -> Result<()> {
        self.device().default_stream().download(self, values)
    }
}

impl<'a, T: Element> BufferViewMut<'a, T> {
    pub(super) fn new(raw: &'a RawBuffer, offset: usize, len: usize) -> BufferViewMut<'a, T> {
        BufferViewMut { raw, offset, len, element: PhantomData }
    }

    /// Some of the elements.
    ///
    /// # Errors
    /// The range does not lie within the view.
    pub fn slice(self, range: impl RangeBounds<usize>) -> Result<BufferViewMut<'a, T>> {
        let (offset, len) = resolve(range, self.len)?;
        Ok(BufferViewMut::new(self.raw, self.offset + offset, len))
    }

    /// The elements before `at`, and those from there on.
    ///
    /// # Errors
    /// There are fewer than `at` elements.
    pub fn split_at(self, at: usize) -> Result<(BufferViewMut<'a, T>, BufferViewMut<'a, T>)> {
        if at > self.len {
            return Err(Error::invalid("at", at, format!("must be at most {}", self.len)));
        }
        let (raw, offset) = (self.raw, self.offset);
        let behind = BufferViewMut::new(raw, offset + at, self.len - at);
        Ok((BufferViewMut::new(raw, offset, at), behind))
    }

    /// The same elements, for a shorter time.
    pub fn reborrow(&mut self) -> BufferViewMut<'_, T> {
        BufferViewMut::new(self.raw, self.offset, self.len)
    }

    /// The same elements, to read.
    pub fn view(&self) -> BufferView<'_, T> {
        BufferView::new(self.raw, self.offset, self.len)
    }

    /// The same elements, to read from now on.
    pub fn into_view(self) -> BufferView<'a, T> {
        BufferView::new(self.raw, self.offset, self.len)
    }

    /// Overwrites the elements, in the device's default stream.
    ///
    /// # Errors
    /// `values` has another length; the driver's.
    pub fn copy_from(self, values: &[T]) -> Result<()> {
        self.device().default_stream().upload(self, values)
    }

    /// Overwrites the elements with others, of this device or another.
    ///
    /// # Errors
    /// `from` has another length; the driver's.
    pub fn copy_from_view(self, from: BufferView<'_, T>) -> Result<()> {
        if self.device() == from.device() {
            return self.device().default_stream().copy(self, from);
        }
        self.copy_from(&from.to_vec()?)
    }

    /// Overwrites the elements with zeros, in the device's default stream.
    ///
    /// # Errors
    /// The driver's.
    pub fn fill_zero(self) -> Result<()> {
        self.device().default_stream().zero(self)
    }
}

macro_rules! common {
    ($view:ident) => {
        impl<'a, T: Element> $view<'a, T> {
            /// Number of elements.
            pub fn len(&self) -> usize {
                self.len
            }

            /// Whether there are no elements.
            pub fn is_empty(&self) -> bool {
                self.len == 0
            }

            /// The same memory as elements of another type: what they are is what the bits say.
            ///
            /// # Errors
            /// The memory does not begin at a multiple of the type's size, or is not a whole number of
            /// its elements.
            pub fn cast<U: Element>(self) -> Result<$view<'a, U>> {
                let size = size_of::<U>();
                let (start, bytes) = (self.offset * size_of::<T>(), self.len * size_of::<T>());
                if !start.is_multiple_of(size) || !bytes.is_multiple_of(size) {
                    let shown = format!("{bytes} bytes from byte {start} of the buffer on");
                    let rule =
                        format!("must be whole elements of {}, {size} bytes each", U::SCALAR);
                    return Err(Error::invalid("view", shown, rule));
                }
                Ok($view::new(self.raw, start / size, bytes / size))
            }

            /// The device the elements are on.
            pub fn device(&self) -> &'a Device {
                self.raw.device()
            }

            /// The address of the first element on the device; never followed when there is none.
            pub fn address(&self) -> u64 {
                self.raw.address() + (self.offset * size_of::<T>()) as u64
            }

            pub(crate) fn raw(&self) -> &'a RawBuffer {
                self.raw
            }

            pub(crate) fn size_in_bytes(&self) -> usize {
                self.len * size_of::<T>()
            }
        }

        impl<T: Element> fmt::Debug for $view<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($view))
                    .field("element", &T::SCALAR.name())
                    .field("offset", &self.offset)
                    .field("len", &self.len)
                    .field("device", self.raw.device())
                    .finish()
            }
        }
    };
}

common!(BufferView);
common!(BufferViewMut);

impl<T: Element> Clone for BufferView<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Element> Copy for BufferView<'_, T> {}

impl<'a, T: Element> From<&'a Buffer<T>> for BufferView<'a, T> {
    fn from(buffer: &'a Buffer<T>) -> Self {
        buffer.view()
    }
}

impl<'a, T: Element> From<&'a mut Buffer<T>> for BufferViewMut<'a, T> {
    fn from(buffer: &'a mut Buffer<T>) -> Self {
        buffer.view_mut()
    }
}
