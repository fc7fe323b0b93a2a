//! [`Driver`] over the process's own memory and clock.

use std::alloc::{Layout, alloc, dealloc};
use std::sync::Mutex;
use std::time::Instant;

use kernelsmith_ir::check::ErrorRecord;

use crate::buffer::ALIGNMENT;
use crate::compile::Loaded;
use crate::driver::{Driver, Handle, PackedArgs};
use crate::error::{Error, Result};
use crate::launch::LaunchConfig;
use crate::sync::lock;

use super::pool::Pool;

/// Allocations from here on begin on a boundary of large pages and ask for such pages: a matrix
/// then needs hundreds of times fewer page faults and TLB entries.
const LARGE: usize = 4 << 20;
const LARGE_PAGE: usize = 2 << 20;

/// See the module above.
#[derive(Default)]
pub(crate) struct CpuDriver {
    /// Guards every error record: a launch of one thread may end while another collects.
    records: Mutex<()>,
    pool: Pool,
}

/// When an event happened.
type Moment = Mutex<Option<Instant>>;

fn layout(bytes: usize) -> Result<Layout> {
    let align = if bytes >= LARGE { LARGE_PAGE } else { ALIGNMENT as usize };
    Layout::from_size_align(bytes, align)
        .map_err(|_| out_of_memory(bytes, "more than the address space holds"))
}

/// Asks the operating system for large pages. It may decline, and nothing depends on it.
#[cfg(target_os = "linux")]
fn advise_large_pages(memory: *mut u8, bytes: usize) {
    use std::ffi::{c_int, c_void};
    // madvise(2); the number is from Linux's asm-generic/mman-common.h.
    const MADV_HUGEPAGE: c_int = 14;
    unsafe extern "C" {
        fn madvise(address: *mut c_void, bytes: usize, advice: c_int) -> c_int;
    }
    // Whole pages only: the last one may hold somebody else's bytes.
    let whole = bytes / LARGE_PAGE * LARGE_PAGE;
    // SAFETY: the range was just allocated, and the advice changes no contents.
    unsafe { madvise(memory.cast(), whole, MADV_HUGEPAGE) };
}

#[cfg(not(target_os = "linux"))]
fn advise_large_pages(_: *mut u8, _: usize) {}

/// # Safety
/// The memory is of [`CpuDriver::allocate`] with as many bytes, and nobody uses it any more.
unsafe fn release(address: u64, bytes: usize) {
    if let Ok(layout) = layout(bytes) {
        // SAFETY: allocated with the same layout.
        unsafe { dealloc(address as *mut u8, layout) };
    }
}

impl Drop for CpuDriver {
    fn drop(&mut self) {
        for (address, bytes) in self.pool.drain() {
            // SAFETY: what is in the pool is nobody else's.
            unsafe { release(address, bytes) };
        }
    }
}

fn out_of_memory(bytes: usize, detail: &str) -> Error {
    let (device, detail) = ("CPU".to_owned(), detail.to_owned());
    Error::OutOfMemory { device, bytes: bytes as u64, detail }
}

/// The moment behind an event's handle.
///
/// # Safety
/// The handle is of [`CpuDriver::create_event`] and not destroyed, for as long as `'a`.
unsafe fn moment<'a>(event: Handle) -> &'a Moment {
    // SAFETY: such handles point to a leaked box.
    unsafe { &*event.0.cast::<Moment>() }
}

impl Driver for CpuDriver {
    fn runs_in_place(&self) -> bool {
        true
    }

    fn create_stream(&self) -> Result<Handle> {
        Ok(Handle::NULL)
    }

    unsafe fn destroy_stream(&self, _: Handle) {}

    fn synchronize(&self, _: Handle) -> Result<()> {
        Ok(())
    }

    fn is_idle(&self, _: Handle) -> Result<bool> {
        Ok(true)
    }

    fn create_event(&self) -> Result<Handle> {
        Ok(Handle(Box::into_raw(Box::<Moment>::default()).cast()))
    }

    unsafe fn destroy_event(&self, event: Handle) {
        // SAFETY: the pointer of `create_event`, used for the last time.
        drop(unsafe { Box::from_raw(event.0.cast::<Moment>()) });
    }

    fn record(&self, event: Handle, _: Handle) -> Result<()> {
        // SAFETY: handles given to a driver are its own and alive.
        *lock(unsafe { moment(event) }) = Some(Instant::now());
        Ok(())
    }

    fn wait(&self, _: Handle, _: Handle) -> Result<()> {
        Ok(())
    }

    fn synchronize_event(&self, _: Handle) -> Result<()> {
        Ok(())
    }

    fn event_happened(&self, _: Handle) -> Result<bool> {
        Ok(true)
    }

    fn milliseconds(&self, start: Handle, end: Handle) -> Result<f32> {
        // SAFETY: handles given to a driver are its own and alive.
        let at = |event| *lock(unsafe { moment(event) });
        let (Some(start), Some(end)) = (at(start), at(end)) else {
            return Err(Error::invalid("event", "not recorded", "must be recorded in a stream"));
        };
        let seconds =
            |later: Instant, earlier: Instant| later.duration_since(earlier).as_secs_f64();
        let seconds = if end >= start { seconds(end, start) } else { -seconds(start, end) };
        Ok((seconds * 1e3) as f32)
    }

    fn allocate(&self, bytes: usize, _: Handle) -> Result<u64> {
        if let Some(memory) = self.pool.take(bytes) {
            return Ok(memory);
        }
        let layout = layout(bytes)?;
        // SAFETY: callers ask for at least one byte.
        let memory = unsafe { alloc(layout) };
        if memory.is_null() {
            return Err(out_of_memory(bytes, "the allocator gave none"));
        }
        if bytes >= LARGE {
            advise_large_pages(memory, bytes);
        }
        Ok(memory as u64)
    }

    unsafe fn free(&self, address: u64, bytes: usize, _: Handle) {
        for (address, bytes) in self.pool.put(address, bytes) {
            // SAFETY: the caller's memory, or such that was given to the pool before.
            unsafe { release(address, bytes) };
        }
    }

    fn allocate_host(&self, bytes: usize) -> Result<*mut u8> {
        Ok(self.allocate(bytes, Handle::NULL)? as *mut u8)
    }

    unsafe fn free_host(&self, pointer: *mut u8, bytes: usize) {
        // SAFETY: as for `free`.
        unsafe { self.free(pointer as u64, bytes, Handle::NULL) };
    }

    unsafe fn copy_in(&self, to: u64, from: *const u8, bytes: usize, _: Handle) -> Result<()> {
        // SAFETY: the caller vouches for both ranges, which are different allocations.
        unsafe { (to as *mut u8).copy_from_nonoverlapping(from, bytes) };
        Ok(())
    }

    unsafe fn copy_out(&self, to: *mut u8, from: u64, bytes: usize, _: Handle) -> Result<()> {
        // SAFETY: as for `copy_in`.
        unsafe { to.copy_from_nonoverlapping(from as *const u8, bytes) };
        Ok(())
    }

    unsafe fn copy(&self, to: u64, from: u64, bytes: usize, _: Handle) -> Result<()> {
        // SAFETY: as for `copy_in`; the trait asks for ranges that do not overlap.
        unsafe { (to as *mut u8).copy_from_nonoverlapping(from as *const u8, bytes) };
        Ok(())
    }

    unsafe fn zero(&self, at: u64, bytes: usize, _: Handle) -> Result<()> {
        // SAFETY: the caller vouches for the range.
        unsafe { (at as *mut u8).write_bytes(0, bytes) };
        Ok(())
    }

    fn load(&self, _: &[u8], kernel: &str) -> Result<(Handle, Handle)> {
        // Machine code for the CPU is loaded by its code generator.
        let message = "the CPU loads no modules".to_owned();
        Err(Error::Load { api: "CPU", kernel: kernel.to_owned(), message })
    }

    unsafe fn unload(&self, _: Handle) {}

    unsafe fn launch(
        &self,
        _: Handle,
        kernel: &Loaded,
        config: &LaunchConfig,
        args: PackedArgs<'_>,
    ) -> Result<()> {
        let Loaded::Cpu(kernel) = kernel else {
            return Err(Error::invalid("kernel", "code for another device", "must be CPU code"));
        };
        // A record of the launch's own, so that no lock is held while it runs.
        let mut failure = ErrorRecord::default();
        // SAFETY: the caller vouches for the arguments.
        unsafe { kernel.run(config, args.visible(), &mut failure)? };
        if failure.state != 0 && args.record != 0 {
            let _guard = lock(&self.records);
            let record = args.record as *mut ErrorRecord;
            // SAFETY: the stream's record for this kernel; everybody else holds the lock, too.
            unsafe {
                if (*record).state == 0 {
                    record.write(failure);
                }
            }
        }
        Ok(())
    }

    unsafe fn take_records(&self, at: u64, records: &mut [ErrorRecord], _: Handle) -> Result<()> {
        let _guard = lock(&self.records);
        for (i, record) in records.iter_mut().enumerate() {
            // SAFETY: the caller vouches for the records, and writers hold the lock.
            unsafe {
                let shared = (at as *mut ErrorRecord).add(i);
                *record = shared.read();
                (*shared).state = 0;
            }
        }
        Ok(())
    }
}
