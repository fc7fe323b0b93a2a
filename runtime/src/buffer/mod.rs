//! Typed memory on a device: buffers, views of them, and copies.

mod raw;
mod transfer;
mod view;

use std::fmt;
use std::marker::PhantomData;
use std::ops::RangeBounds;

pub use raw::{ALIGNMENT, RawBuffer};
pub use view::{BufferView, BufferViewMut};

pub(crate) use raw::Access;

use crate::device::Device;
use crate::element::Element;
use crate::error::{Error, Result};

/// `len` numbers on a device.
///
/// ```
/// # fn main() -> kernelsmith_runtime::Result<()> {
/// use kernelsmith_runtime::{Buffer, Device};
/// let mut x = Buffer::from_slice(&Device::cpu(), &[1.0f32, 2.0, 3.0])?;
/// x.slice_mut(1..)?.copy_from(&[20.0, 30.0])?;
/// assert_eq!(x.to_vec()?, [1.0, 20.0, 30.0]);
/// # Ok(())
/// # }
/// ```
pub struct Buffer<T: Element> {
    raw: RawBuffer,
    len: usize,
    element: PhantomData<T>,
}

impl<T: Element> Buffer<T> {
    /// A buffer of zeros.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`]; the driver's.
    pub fn zeros(device: &Device, len: usize) -> Result<Buffer<T>> {
        Ok(Buffer::from_raw(RawBuffer::zeroed(device, Self::bytes(len)?)?, len))
    }

    /// A buffer with a copy of a slice.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`]; the driver's.
    pub fn from_slice(device: &Device, values: &[T]) -> Result<Buffer<T>> {
        // SAFETY: written whole before anybody sees it.
        let mut buffer = unsafe { Buffer::uninit(device, values.len())? };
        buffer.copy_from(values)?;
        Ok(buffer)
    }

    /// A buffer of whatever was there before.
    ///
    /// # Safety
    /// Every element is written before it is read.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`]; the driver's.
    pub unsafe fn uninit(device: &Device, len: usize) -> Result<Buffer<T>> {
        // SAFETY: the caller's promise.
        let raw = unsafe { RawBuffer::uninit(device, Self::bytes(len)?)? };
        Ok(Buffer::from_raw(raw, len))
    }

    fn from_raw(raw: RawBuffer, len: usize) -> Buffer<T> {
        Buffer { raw, len, element: PhantomData }
    }

    fn bytes(len: usize) -> Result<usize> {
        len.checked_mul(size_of::<T>()).ok_or_else(|| {
            let rule = format!("times {} bytes is more than memory can hold", size_of::<T>());
            Error::invalid("len", len, rule)
        })
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The device the elements are on.
    pub fn device(&self) -> &Device {
        self.raw.device()
    }

    /// The bytes behind the elements.
    pub fn raw(&self) -> &RawBuffer {
        &self.raw
    }

    /// All elements, to read.
    pub fn view(&self) -> BufferView<'_, T> {
        BufferView::new(&self.raw, 0, self.len)
    }

    /// All elements, to read and write.
    pub fn view_mut(&mut self) -> BufferViewMut<'_, T> {
        BufferViewMut::new(&self.raw, 0, self.len)
    }

    /// Some elements, to read.
    ///
    /// # Errors
    /// The range does not lie within the buffer.
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Result<BufferView<'_, T>> {
        self.view().slice(range)
    }

    /// Some elements, to read and write.
    ///
    /// # Errors
    /// The range does not lie within the buffer.
    pub fn slice_mut(&mut self, range: impl RangeBounds<usize>) -> Result<BufferViewMut<'_, T>> {
        self.view_mut().slice(range)
    }

    /// Overwrites all elements, in the device's default stream.
    ///
    /// # Errors
    /// `values` has another length; the driver's.
    pub fn copy_from(&mut self, values: &[T]) -> Result<()> {
        self.view_mut().copy_from(values)
    }

    /// Copies all elements to the host, when what writes them is done.
    ///
    /// # Errors
    /// `values` has another length; a kernel that wrote them failed a check; the driver's.
    pub fn copy_to(&self, values: &mut [T]) -> Result<()> {
        self.view().copy_to(values)
    }

    /// All elements, when what writes them is done.
    ///
    /// # Errors
    /// A kernel that wrote them failed a check; the driver's.
    pub fn to_vec(&self) -> Result<Vec<T>> {
        self.view().to_vec()
    }

    /// A copy on the same device.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`]; the driver's.
    pub fn try_clone(&self) -> Result<Buffer<T>> {
        self.to_device(self.device())
    }

    /// A copy on a device.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`]; the driver's.
    pub fn to_device(&self, device: &Device) -> Result<Buffer<T>> {
        // SAFETY: written whole before anybody sees it.
        let mut copy = unsafe { Buffer::uninit(device, self.len)? };
        copy.view_mut().copy_from_view(self.view())?;
        Ok(copy)
    }
}

impl<T: Element> fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer")
            .field("element", &T::SCALAR.name())
            .field("len", &self.len)
            .field("device", self.device())
            .finish()
    }
}
