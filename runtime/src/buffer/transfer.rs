//! Copies, in a stream of the caller's choice.

use super::raw::Access;
use super::{BufferView, BufferViewMut, RawBuffer};
use crate::element::Element;
use crate::error::{Error, Result};
use crate::stream::Stream;
use crate::sync::lock;

impl Stream {
    /// Enqueues a copy of host values to the device. They may change when this returns.
    ///
    /// # Errors
    /// The lengths differ; `to` is on another device; the driver's.
    pub fn upload<T: Element>(&self, to: BufferViewMut<'_, T>, from: &[T]) -> Result<()> {
        self.ready("to", to.raw(), Access::Write)?;
        same_length("from", from.len(), to.len())?;
        if from.is_empty() {
            return Ok(());
        }
        let (driver, stream) = (&**self.device().driver(), self.core().handle());
        let staging = self.device().staging();
        // SAFETY: `to` has as many elements, and is freed behind every stream that uses it.
        unsafe { staging.upload(driver, to.address(), bytemuck::cast_slice(from), stream) }
    }

    /// Copies values to the host, when the stream is done with everything before.
    ///
    /// # Errors
    /// The lengths differ; `from` is on another device; a check failed in a kernel of this stream
    /// or of the stream that wrote `from`; the driver's.
    pub fn download<T: Element>(&self, from: BufferView<'_, T>, to: &mut [T]) -> Result<()> {
        self.ready("from", from.raw(), Access::Read)?;
        same_length("to", to.len(), from.len())?;
        if !to.is_empty() {
            let (driver, stream) = (&**self.device().driver(), self.core().handle());
            let staging = self.device().staging();
            let to = bytemuck::cast_slice_mut(to);
            // SAFETY: `from` has as many elements and outlives the call.
            unsafe { staging.download(driver, to, from.address(), stream)? };
        }
        for core in [self.core(), &from.raw().writer()] {
            if lock(core.records()).pending() {
                core.finish()?;
            }
            core.take_failure()?;
        }
        Ok(())
    }

    /// Enqueues a copy on the device.
    ///
    /// # Errors
    /// The lengths differ; a view is on another device; the driver's.
    pub fn copy<T: Element>(
        &self,
        to: BufferViewMut<'_, T>,
        from: BufferView<'_, T>,
    ) -> Result<()> {
        self.ready("from", from.raw(), Access::Read)?;
        self.ready("to", to.raw(), Access::Write)?;
        same_length("from", from.len(), to.len())?;
        if from.is_empty() {
            return Ok(());
        }
        let (driver, stream) = (self.device().driver(), self.core().handle());
        // SAFETY: as many elements on both sides; exclusive and shared views do not overlap;
        // buffers are freed behind every stream that uses them.
        unsafe { driver.copy(to.address(), from.address(), from.size_in_bytes(), stream) }
    }

    /// Enqueues filling with zeros.
    ///
    /// # Errors
    /// `to` is on another device; the driver's.
    pub fn zero<T: Element>(&self, to: BufferViewMut<'_, T>) -> Result<()> {
        self.ready("to", to.raw(), Access::Write)?;
        if to.is_empty() {
            return Ok(());
        }
        let (driver, stream) = (self.device().driver(), self.core().handle());
        // SAFETY: the view lies within its buffer, which is freed behind this.
        unsafe { driver.zero(to.address(), to.size_in_bytes(), stream) }
    }

    fn ready(&self, argument: &str, buffer: &RawBuffer, access: Access) -> Result<()> {
        self.device().expect_same(argument, buffer.device())?;
        buffer.order(self.core(), access)
    }
}

fn same_length(argument: &str, len: usize, expected: usize) -> Result<()> {
    if len == expected {
        return Ok(());
    }
    let rule = format!("must have as many elements as the other side, {expected}");
    Err(Error::invalid(argument, format!("{len} elements long"), rule))
}
