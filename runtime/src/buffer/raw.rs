//! Bytes on a device, and who uses them.

use std::fmt;
use std::sync::{Arc, Mutex};

use crate::device::Device;
use crate::error::{Error, Result};
use crate::stream::StreamCore;
use crate::sync::lock;

/// Alignment of every buffer, in bytes. CUDA and HIP promise as much, and no vector load, copy or
/// TMA descriptor asks for more.
pub const ALIGNMENT: u64 = 256;

/// Owned bytes on a device. Two buffers never overlap. One of no bytes has no memory behind it.
///
/// # Order between streams
/// A buffer remembers the stream that wrote it last and those that read it since. Work that uses it
/// from another stream is made to wait for them first, so safe code cannot race, and a program
/// that keeps to one stream pays one comparison. A dropped buffer is freed behind all of them.
pub struct RawBuffer {
    device: Device,
    address: u64,
    bytes: usize,
    uses: Mutex<Uses>,
}

/// What work does with a buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    Read,
    Write,
}

/// Streams whose work may still use the buffer.
struct Uses {
    writer: Arc<StreamCore>,
    /// Streams that read since the last write, and were ordered behind it.
    readers: Vec<Arc<StreamCore>>,
}

impl RawBuffer {
    /// A buffer of zeros.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`]; the driver's.
    pub fn zeroed(device: &Device, bytes: usize) -> Result<RawBuffer> {
        let buffer = RawBuffer::allocate(device, bytes)?;
        if bytes > 0 {
            let stream = device.default_core().handle();
            // SAFETY: just allocated in this stream, `bytes` long.
            unsafe { device.driver().zero(buffer.address, bytes, stream)? };
        }
        Ok(buffer)
    }

    /// A buffer of whatever was there before.
    ///
    /// # Safety
    /// Every byte is written before it is read.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`]; the driver's.
    pub unsafe fn uninit(device: &Device, bytes: usize) -> Result<RawBuffer> {
        RawBuffer::allocate(device, bytes)
    }

    fn allocate(device: &Device, bytes: usize) -> Result<RawBuffer> {
        // Rust's own bound on an object, which keeps offsets from overflowing.
        if bytes > isize::MAX as usize {
            return Err(Error::invalid("bytes", bytes, format!("must be at most {}", isize::MAX)));
        }
        let stream = device.default_core();
        let address = match bytes {
            0 => ALIGNMENT,
            _ => device.driver().allocate(bytes, stream.handle())?,
        };
        debug_assert_eq!(address % ALIGNMENT, 0);
        // The memory is there from this point of the default stream on, as if written there.
        let uses = Mutex::new(Uses { writer: stream.clone(), readers: Vec::new() });
        Ok(RawBuffer { device: device.clone(), address, bytes, uses })
    }

    /// The device the bytes are on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// The address on the device: a multiple of [`ALIGNMENT`], and never followed when the buffer
    /// is empty.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// Makes `stream` wait for what must come before an access from there, and notes the access.
    pub(crate) fn order(&self, stream: &Arc<StreamCore>, access: Access) -> Result<()> {
        if self.bytes == 0 || self.device.driver().runs_in_place() {
            return Ok(());
        }
        lock(&self.uses).order(stream, access)
    }

    /// The stream that wrote last.
    pub(crate) fn writer(&self) -> Arc<StreamCore> {
        lock(&self.uses).writer.clone()
    }
}

impl Uses {
    fn order(&mut self, stream: &Arc<StreamCore>, access: Access) -> Result<()> {
        let is_here = |other: &Arc<StreamCore>| Arc::ptr_eq(other, stream);
        match access {
            Access::Read => {
                if !is_here(&self.writer) && !self.readers.iter().any(is_here) {
                    stream.wait_for(&self.writer)?;
                    self.readers.push(stream.clone());
                }
            }
            Access::Write => {
                for other in self.readers.iter().chain([&self.writer]).filter(|s| !is_here(s)) {
                    stream.wait_for(other)?;
                }
                self.readers.clear();
                self.writer = stream.clone();
            }
        }
        Ok(())
    }
}

impl Drop for RawBuffer {
    fn drop(&mut self) {
        let home = self.device.default_core();
        // Free in the default stream, behind every use. A device that cannot order the two is
        // lost, and its memory with it.
        if self.bytes > 0 && self.order(home, Access::Write).is_ok() {
            // SAFETY: ours alone, and what used it is ordered before this.
            unsafe { self.device.driver().free(self.address, self.bytes, home.handle()) };
        }
    }
}

impl fmt::Debug for RawBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawBuffer")
            .field("device", &self.device)
            .field("address", &format_args!("{:#x}", self.address))
            .field("bytes", &self.bytes)
            .finish()
    }
}
