//! What the kernels of one stream print, from the device's buffer to the host's text.
//!
//! A stream has one [`PrintBuffer`] for all its kernels, made at the first launch of one that
//! prints, so that their lines stay in order; the number of a kernel's first print tells whose a
//! record is. The buffer is read when the stream is waited for.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use kernelsmith_ir::Scalar;
use kernelsmith_ir::message::Message;
use kernelsmith_ir::printing::{self, PrintBuffer};

use crate::driver::{Driver, Handle};
use crate::error::Result;
use crate::records::KernelInfo;

/// Words of records: 1 MiB.
const CAPACITY: usize = 1 << 18;
const HEADER: usize = PrintBuffer::HEADER_WORDS as usize;
const BYTES: usize = 4 * (HEADER + CAPACITY);

/// Where lines go.
pub(crate) type Sink = Box<dyn FnMut(&str) + Send>;

/// The prints of one stream.
#[derive(Default)]
pub(crate) struct Prints {
    /// The buffer's address, once there is one.
    buffer: Option<u64>,
    /// The messages of all kernels launched so far, by number.
    messages: Vec<Known>,
    /// The number of each kernel's first print, by the kernel's address.
    bases: HashMap<usize, (u32, Arc<KernelInfo>)>,
    /// Standard output if there is none.
    sink: Option<Sink>,
    pending: bool,
}

struct Known {
    message: Message,
    types: Vec<Scalar>,
}

impl Prints {
    /// Sends lines elsewhere.
    pub(crate) fn set_sink(&mut self, sink: Sink) {
        self.sink = Some(sink);
    }

    /// The buffer's address and the number of the kernel's first print.
    pub(crate) fn of(
        &mut self,
        kernel: &Arc<KernelInfo>,
        driver: &dyn Driver,
        stream: Handle,
    ) -> Result<(u64, u32)> {
        let buffer = match self.buffer {
            Some(buffer) => buffer,
            None => {
                let buffer = driver.allocate(BYTES, stream)?;
                self.buffer = Some(buffer);
                // SAFETY: just allocated, and freed only with the stream.
                unsafe { driver.zero(buffer, BYTES, stream)? };
                self.write_header(driver, stream)?;
                buffer
            }
        };
        let next = self.messages.len() as u32;
        let key = Arc::as_ptr(kernel) as usize;
        let (base, _) = self.bases.entry(key).or_insert_with(|| {
            self.messages.extend(kernel.prints.iter().map(|message| Known {
                types: message.holes().map(|hole| hole.ty).collect(),
                message: message.clone(),
            }));
            // The kernel is kept, so that no other gets its address.
            (next, kernel.clone())
        });
        self.pending = true;
        Ok((buffer, *base))
    }

    fn write_header(&self, driver: &dyn Driver, stream: Handle) -> Result<()> {
        let Some(buffer) = self.buffer else { return Ok(()) };
        let header = PrintBuffer { capacity: CAPACITY as u64, ..PrintBuffer::default() };
        // SAFETY: the buffer is ours; the header lives until the copy is done.
        unsafe {
            driver.copy_in(buffer, (&raw const header).cast(), size_of_val(&header), stream)?
        };
        driver.synchronize(stream)
    }

    /// Whether there may be something to read.
    pub(crate) fn pending(&self) -> bool {
        self.pending
    }

    /// Waits for the stream and says what was printed.
    pub(crate) fn collect(&mut self, driver: &dyn Driver, stream: Handle) -> Result<()> {
        let Some(buffer) = self.buffer.filter(|_| self.pending) else { return Ok(()) };
        let mut header = PrintBuffer::default();
        // SAFETY: the buffer is ours, and the stream is waited for before the copy is read.
        unsafe {
            driver.copy_out((&raw mut header).cast(), buffer, size_of_val(&header), stream)?;
        }
        driver.synchronize(stream)?;
        self.pending = false;
        if header.claimed == 0 {
            return Ok(());
        }
        let mut written = vec![0u32; (header.claimed as usize).min(CAPACITY)];
        let (at, bytes) = (buffer + 4 * HEADER as u64, 4 * written.len());
        // SAFETY: as above.
        unsafe { driver.copy_out(written.as_mut_ptr().cast(), at, bytes, stream)? };
        driver.synchronize(stream)?;
        // SAFETY: as above; nobody launches while the caller holds the prints.
        unsafe { driver.zero(at, bytes, stream)? };
        self.write_header(driver, stream)?;
        let text = self.text(&written, header.dropped);
        match &mut self.sink {
            Some(sink) => text.lines().for_each(sink),
            // In one piece, so that lines of other threads stay out.
            None => print!("{text}"),
        }
        Ok(())
    }

    fn text(&self, written: &[u32], dropped: u64) -> String {
        let known = |number: u32| self.messages.get(number as usize);
        let mut text = String::new();
        for (number, values) in printing::records(written, |n| known(n).map(|k| &k.types)) {
            let message = known(number).map_or(String::new(), |k| k.message.fill(values));
            writeln!(text, "{message}").expect("writing to a string");
        }
        if dropped > 0 {
            let room = 4 * CAPACITY / 1024;
            writeln!(
                text,
                "[{dropped} more device_print! lines than {room} KiB hold were dropped]"
            )
            .expect("writing to a string");
        }
        text
    }

    /// Frees the buffer, when the stream goes.
    pub(crate) fn free(&mut self, driver: &dyn Driver, stream: Handle) {
        if let Some(buffer) = self.buffer.take() {
            // SAFETY: allocated here, and only launches of this stream used it.
            unsafe { driver.free(buffer, BYTES, stream) };
        }
    }
}
