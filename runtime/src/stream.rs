//! Streams: ordered queues of work for a device.
//!
//! Work in one stream runs in the order it was enqueued, and streams run beside each other. What a
//! call enqueues may still run when it returns; errors of kernels come back when the stream is next
//! waited for. On the CPU nothing is put off: a launch runs on the calling thread and the thread
//! pool and has ended when it returns, which is one of the orders a queue may choose, and the
//! cheapest. Its errors wait all the same, so that a program means the same on every device.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::device::Device;
use crate::driver::{Driver, Handle};
use crate::error::Result;
use crate::event::Event;
use crate::prints::Prints;
use crate::records::Records;
use crate::sync::lock;

/// A stream of a device. Clones are the same stream.
#[derive(Clone)]
pub struct Stream {
    device: Device,
    core: Arc<StreamCore>,
}

/// A stream without its device; what devices and buffers hold on to.
pub(crate) struct StreamCore {
    driver: Arc<dyn Driver>,
    handle: Handle,
    records: Mutex<Records>,
    prints: Mutex<Prints>,
}

impl Stream {
    pub(crate) fn new(device: Device, core: Arc<StreamCore>) -> Stream {
        Stream { device, core }
    }

    /// The stream's device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Waits for everything enqueued so far.
    ///
    /// # Errors
    /// [`Error::CheckFailed`] if a check failed in a kernel of this stream: the first failure of
    /// each kernel, one a call, each once. On the interpreter, [`Error::Finding`] in the same way.
    /// Else the driver's error.
    ///
    /// [`Error::CheckFailed`]: crate::Error::CheckFailed
    /// [`Error::Finding`]: crate::Error::Finding
    pub fn synchronize(&self) -> Result<()> {
        self.core.finish()?;
        self.core.take_failure()
    }

    /// Gives the lines that kernels of this stream print to `sink`, one call each, rather than to
    /// standard output. They are read when the stream is waited for.
    pub fn print_to(&self, sink: impl FnMut(&str) + Send + 'static) {
        lock(&self.core.prints).set_sink(Box::new(sink));
    }

    /// Whether everything enqueued so far is done.
    ///
    /// # Errors
    /// The driver's.
    pub fn is_idle(&self) -> Result<bool> {
        self.core.driver.is_idle(self.core.handle)
    }

    /// An event that happens when everything enqueued so far is done.
    ///
    /// # Errors
    /// The driver's.
    pub fn record(&self) -> Result<Event> {
        let driver = &self.core.driver;
        let event = Event::create(self.device.clone())?;
        driver.record(event.handle(), self.core.handle)?;
        Ok(event)
    }

    /// Makes what is enqueued from now on wait for the event.
    ///
    /// # Errors
    /// An event of another device; the driver's.
    pub fn wait(&self, event: &Event) -> Result<()> {
        self.device.expect_same("event", event.device())?;
        self.core.driver.wait(self.core.handle, event.handle())
    }

    /// How long `work` keeps the device busy, by events around it.
    ///
    /// # Errors
    /// Those of `work`; failed checks; the driver's.
    pub fn time(&self, work: impl FnOnce(&Stream) -> Result<()>) -> Result<Duration> {
        let start = self.record()?;
        work(self)?;
        let end = self.record()?;
        self.synchronize()?;
        end.elapsed_since(&start)
    }

    /// The driver's own handle (a `CUstream` or `hipStream_t`), to enqueue work of other libraries;
    /// null on the CPU. It stays the stream's: valid while the stream lives, not to be destroyed.
    pub fn raw_handle(&self) -> *mut std::ffi::c_void {
        self.core.handle.0
    }

    pub(crate) fn core(&self) -> &Arc<StreamCore> {
        &self.core
    }
}

impl StreamCore {
    /// Takes over a stream of the driver.
    pub(crate) fn new(driver: Arc<dyn Driver>, handle: Handle) -> StreamCore {
        StreamCore { driver, handle, records: Mutex::default(), prints: Mutex::default() }
    }

    pub(crate) fn handle(&self) -> Handle {
        self.handle
    }

    /// The error records of the stream's launches.
    pub(crate) fn records(&self) -> &Mutex<Records> {
        &self.records
    }

    /// What the stream's kernels print.
    pub(crate) fn prints(&self) -> &Mutex<Prints> {
        &self.prints
    }

    /// Makes this stream wait for what `other` has enqueued so far.
    pub(crate) fn wait_for(&self, other: &StreamCore) -> Result<()> {
        let driver = &*self.driver;
        let event = driver.create_event()?;
        let ordered =
            driver.record(event, other.handle).and_then(|()| driver.wait(self.handle, event));
        // SAFETY: drivers keep an event that is waited for until it happens.
        unsafe { driver.destroy_event(event) };
        ordered
    }

    /// Waits for the stream and puts the failures of checks aside.
    pub(crate) fn finish(&self) -> Result<()> {
        let mut records = lock(&self.records);
        let finished = match records.pending() {
            true => records.collect(&*self.driver, self.handle),
            false => self.driver.synchronize(self.handle),
        };
        finished.map_err(|error| records.blame(error))?;
        drop(records);
        lock(&self.prints).collect(&*self.driver, self.handle)
    }

    /// The oldest failure put aside, which is then forgotten.
    pub(crate) fn take_failure(&self) -> Result<()> {
        match lock(&self.records).take_failure() {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }
}

impl Drop for StreamCore {
    fn drop(&mut self) {
        if lock(&self.prints).pending() {
            // What was printed is shown, also where nobody waited; of errors nobody is left to hear.
            let _ = self.finish();
        }
        lock(&self.prints).free(&*self.driver, self.handle);
        lock(&self.records).free(&*self.driver, self.handle);
        // SAFETY: the handle's only owner goes.
        unsafe { self.driver.destroy_stream(self.handle) };
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("device", &self.device)
            .field("handle", &self.core.handle)
            .finish()
    }
}
