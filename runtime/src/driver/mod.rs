//! What the runtime asks of a device: one trait, three implementations.
//!
//! CUDA's driver API and HIP's module API have the same shape, so [`Driver`] has it, too, and the
//! CPU fits it without loss (its streams are always idle, see [`crate::cpu`]). Everything above
//! this line - buffers, ordering between streams, staging of copies, check failures - is written
//! once, and tested against a driver that runs late on purpose.

#[cfg(test)]
pub(crate) mod late;
mod staging;

use std::ffi::c_void;

use kernelsmith_ir::check::ErrorRecord;
use kernelsmith_ir::interp::Finding;

use crate::compile::Loaded;
use crate::error::Result;
use crate::launch::LaunchConfig;

pub(crate) use staging::Staging;

/// A driver's name for a stream, event, module or function.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Handle(pub *mut c_void);

impl Handle {
    /// No object; what drivers without such objects hand out.
    pub(crate) const NULL: Handle = Handle(std::ptr::null_mut());
}

// SAFETY: a handle is a name. Drivers are thread-safe (CUDA C++ Programming Guide, "Driver API";
// HIP follows it), and the owners of handles decide who may still use them.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

/// The packed arguments of a launch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PackedArgs<'a> {
    /// The kernel's parameters at their natural alignment, then, at the next multiple of 8, the
    /// address of the error record.
    pub bytes: &'a [u8],
    /// The address of the [`ErrorRecord`]: the last 8 bytes of `bytes`.
    pub record: u64,
    /// By parameter, how many bytes a pointer may reach.
    pub extents: &'a [Option<u64>],
    /// Where each parameter begins in `bytes`, the hidden ones and the error record's address
    /// included.
    pub offsets: &'a [u32],
    /// Those of them that are tensor maps, in the portable form.
    pub tensor_maps: &'a [u32],
}

impl<'a> PackedArgs<'a> {
    /// The parameters without the hidden one.
    pub(crate) fn visible(&self) -> &'a [u8] {
        &self.bytes[..self.bytes.len() - 8]
    }
}

/// A device as its driver shows it.
///
/// Addresses are device addresses. Functions that take a stream enqueue work there and return;
/// those named `synchronize` wait. Handles come from the same driver and are not yet destroyed.
pub(crate) trait Driver: Send + Sync {
    /// Whether all work is done when the call that enqueues it returns.
    fn runs_in_place(&self) -> bool {
        false
    }

    /// A new stream, ordered with no other.
    fn create_stream(&self) -> Result<Handle>;
    /// Gives a stream back. Work in it still runs to its end.
    ///
    /// # Safety
    /// Nobody uses the handle again.
    unsafe fn destroy_stream(&self, stream: Handle);
    /// Waits for everything in the stream.
    fn synchronize(&self, stream: Handle) -> Result<()>;
    /// Whether everything in the stream is done.
    fn is_idle(&self, stream: Handle) -> Result<bool>;

    /// A new event, not yet recorded.
    fn create_event(&self) -> Result<Handle>;
    /// Gives an event back. Waits already enqueued still see it.
    ///
    /// # Safety
    /// Nobody uses the handle again.
    unsafe fn destroy_event(&self, event: Handle);
    /// Makes the event happen when the stream gets here.
    fn record(&self, event: Handle, stream: Handle) -> Result<()>;
    /// Makes the stream wait here for the event.
    fn wait(&self, stream: Handle, event: Handle) -> Result<()>;
    /// Waits for the event.
    fn synchronize_event(&self, event: Handle) -> Result<()>;
    /// Whether the event happened.
    fn event_happened(&self, event: Handle) -> Result<bool>;
    /// Milliseconds between two events that happened.
    fn milliseconds(&self, start: Handle, end: Handle) -> Result<f32>;

    /// Memory that work enqueued in the stream from now on may use. `bytes` is not 0; the address
    /// is a multiple of 256.
    fn allocate(&self, bytes: usize, stream: Handle) -> Result<u64>;
    /// Frees memory once the stream gets here.
    ///
    /// # Safety
    /// `address` and `bytes` are of one allocation, which work enqueued elsewhere no longer uses.
    unsafe fn free(&self, address: u64, bytes: usize, stream: Handle);
    /// Page-locked host memory.
    fn allocate_host(&self, bytes: usize) -> Result<*mut u8>;
    /// Frees page-locked host memory.
    ///
    /// # Safety
    /// `pointer` and `bytes` are of one allocation that no work uses any more.
    unsafe fn free_host(&self, pointer: *mut u8, bytes: usize);

    /// Copies from the host to the device.
    ///
    /// # Safety
    /// Both ranges are valid, and stay so until the stream got past this.
    unsafe fn copy_in(&self, to: u64, from: *const u8, bytes: usize, stream: Handle) -> Result<()>;
    /// Copies from the device to the host.
    ///
    /// # Safety
    /// As for [`copy_in`](Driver::copy_in).
    unsafe fn copy_out(&self, to: *mut u8, from: u64, bytes: usize, stream: Handle) -> Result<()>;
    /// Copies on the device, between ranges that do not overlap.
    ///
    /// # Safety
    /// As for [`copy_in`](Driver::copy_in).
    unsafe fn copy(&self, to: u64, from: u64, bytes: usize, stream: Handle) -> Result<()>;
    /// Fills with zeros.
    ///
    /// # Safety
    /// As for [`copy_in`](Driver::copy_in).
    unsafe fn zero(&self, at: u64, bytes: usize, stream: Handle) -> Result<()>;

    /// Loads a module of PTX text or of a code object, and finds its kernel.
    fn load(&self, image: &[u8], kernel: &str) -> Result<(Handle, Handle)>;
    /// Gives a module back, when the work that uses it is done.
    ///
    /// # Safety
    /// Nobody launches from the module again.
    unsafe fn unload(&self, module: Handle);
    /// Launches a kernel.
    ///
    /// # Safety
    /// The arguments are what the kernel expects, and what they point to is valid until the stream
    /// got past this. The launch keeps to the device's limits.
    unsafe fn launch(
        &self,
        stream: Handle,
        kernel: &Loaded,
        config: &LaunchConfig,
        args: PackedArgs<'_>,
    ) -> Result<()>;

    /// Waits for the stream, reads error records and frees those that were claimed.
    ///
    /// # Safety
    /// `records.len()` records lie at `at`.
    unsafe fn take_records(
        &self,
        at: u64,
        records: &mut [ErrorRecord],
        stream: Handle,
    ) -> Result<()> {
        let size = ErrorRecord::SIZE as usize;
        // SAFETY: the caller vouches for the device side, `records` is the host side, and the
        // stream is waited for before it is read.
        unsafe {
            self.copy_out(records.as_mut_ptr().cast(), at, size * records.len(), stream)?;
        }
        self.synchronize(stream)?;
        for (i, _) in records.iter().enumerate().filter(|(_, record)| record.state != 0) {
            // SAFETY: one of the records the caller vouches for.
            unsafe { self.zero(at + (i * size) as u64, size, stream)? };
        }
        Ok(())
    }

    /// What was found wrong in the stream's launches since it was last asked for.
    fn take_findings(&self, _stream: Handle) -> Vec<Finding> {
        Vec::new()
    }
}
