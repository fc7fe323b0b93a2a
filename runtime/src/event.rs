//! Events: points in a stream.

use std::fmt;
use std::time::Duration;

use crate::device::Device;
use crate::driver::Handle;
use crate::error::{Error, Result};

/// A point in a stream, made by [`Stream::record`](crate::Stream::record).
pub struct Event {
    device: Device,
    handle: Handle,
}

impl Event {
    pub(crate) fn create(device: Device) -> Result<Event> {
        let handle = device.driver().create_event()?;
        Ok(Event { device, handle })
    }

    pub(crate) fn handle(&self) -> Handle {
        self.handle
    }

    /// The device of the event's stream.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Waits until the event happens. Failed checks are left to
    /// [`Stream::synchronize`](crate::Stream::synchronize).
    ///
    /// # Errors
    /// The driver's.
    pub fn synchronize(&self) -> Result<()> {
        self.device.driver().synchronize_event(self.handle)
    }

    /// Whether the event happened.
    ///
    /// # Errors
    /// The driver's.
    pub fn happened(&self) -> Result<bool> {
        self.device.driver().event_happened(self.handle)
    }

    /// The time between two events. Waits for both.
    ///
    /// # Errors
    /// `earlier` is of another device or happened later; the driver's.
    pub fn elapsed_since(&self, earlier: &Event) -> Result<Duration> {
        self.device.expect_same("earlier", &earlier.device)?;
        earlier.synchronize()?;
        self.synchronize()?;
        let ms = self.device.driver().milliseconds(earlier.handle, self.handle)?;
        Duration::try_from_secs_f64(f64::from(ms) / 1e3).map_err(|_| {
            Error::invalid("earlier", format!("{} ms later", -ms), "must have happened before")
        })
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: the handle's only owner goes; waits already enqueued still see the event.
        unsafe { self.device.driver().destroy_event(self.handle) };
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("device", &self.device).field("handle", &self.handle).finish()
    }
}
