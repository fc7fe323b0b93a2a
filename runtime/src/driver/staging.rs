//! Page-locked memory between the caller's slices and the device.
//!
//! A copy engine reads host memory only where it cannot be paged out, and a caller's slice is free
//! to go as soon as the copy was asked for. Both are met by copying through a few page-locked
//! chunks, each with an event that says when the device is done with it. Long copies are cut into
//! chunks, so that the host fills one while the device empties another.

use std::sync::Mutex;

use super::{Driver, Handle};
use crate::error::Result;
use crate::sync::lock;

/// Bytes of a chunk: long enough that the set-up of a transfer does not show.
const CHUNK: usize = 1 << 20;
/// Chunks a device has at most. A thread that finds them all in use waits for the oldest.
const MAX_CHUNKS: usize = 8;

struct Chunk {
    memory: *mut u8,
    /// Happens when the device is done with the memory.
    done: Handle,
}

// SAFETY: page-locked memory is memory; the pool hands a chunk to one thread at a time.
unsafe impl Send for Chunk {}

#[derive(Default)]
struct Pool {
    /// Oldest use first.
    idle: Vec<Chunk>,
    /// How many there are, those handed out included.
    total: usize,
}

/// The chunks of one device.
#[derive(Default)]
pub(crate) struct Staging(Mutex<Pool>);

impl Staging {
    /// Enqueues a copy of `from`, which may change as soon as this returns.
    ///
    /// # Safety
    /// `to` is valid for `from.len()` bytes until the stream got past this.
    pub(crate) unsafe fn upload(
        &self,
        driver: &dyn Driver,
        to: u64,
        from: &[u8],
        stream: Handle,
    ) -> Result<()> {
        if driver.runs_in_place() {
            // SAFETY: the caller vouches for `to`; nothing is in flight after the call.
            return unsafe { driver.copy_in(to, from.as_ptr(), from.len(), stream) };
        }
        for (i, piece) in from.chunks(CHUNK).enumerate() {
            let chunk = self.take(driver)?;
            let to = to + (i * CHUNK) as u64;
            // SAFETY: the chunk is ours and CHUNK bytes long, and returns to the pool with an
            // event that keeps others off until the device has read it.
            let copied = unsafe {
                chunk.memory.copy_from_nonoverlapping(piece.as_ptr(), piece.len());
                driver.copy_in(to, chunk.memory, piece.len(), stream)
            };
            copied.and_then(|()| driver.record(chunk.done, stream)).inspect_err(|_| self.lose())?;
            self.give(chunk);
        }
        Ok(())
    }

    /// Waits for the stream and copies what is at `from` then.
    ///
    /// # Safety
    /// `from` is valid for `to.len()` bytes.
    pub(crate) unsafe fn download(
        &self,
        driver: &dyn Driver,
        to: &mut [u8],
        from: u64,
        stream: Handle,
    ) -> Result<()> {
        // The driver pipelines long copies to pageable memory itself; what a chunk saves is its
        // set-up, which matters for short ones.
        if driver.runs_in_place() || to.len() > CHUNK {
            // SAFETY: both sides are valid, and the stream is waited for while `to` is borrowed.
            unsafe { driver.copy_out(to.as_mut_ptr(), from, to.len(), stream)? };
            return driver.synchronize(stream);
        }
        let chunk = self.take(driver)?;
        // SAFETY: the chunk is ours and at least as long.
        unsafe { driver.copy_out(chunk.memory, from, to.len(), stream) }
            .and_then(|()| driver.record(chunk.done, stream))
            .and_then(|()| driver.synchronize(stream))
            .inspect_err(|_| self.lose())?;
        // SAFETY: the device has written the chunk, and nobody else has it.
        unsafe { chunk.memory.copy_to_nonoverlapping(to.as_mut_ptr(), to.len()) };
        self.give(chunk);
        Ok(())
    }

    /// A chunk the device is done with.
    fn take(&self, driver: &dyn Driver) -> Result<Chunk> {
        loop {
            let mut pool = lock(&self.0);
            let ready = match pool.idle.first() {
                Some(oldest) => driver.event_happened(oldest.done)?,
                None => false,
            };
            if !ready && pool.total < MAX_CHUNKS {
                pool.total += 1;
                drop(pool);
                return self.create(driver).inspect_err(|_| self.lose());
            }
            if pool.idle.is_empty() {
                // Every chunk is with another thread, which holds it for one memcpy.
                drop(pool);
                std::thread::yield_now();
                continue;
            }
            let chunk = pool.idle.remove(0);
            drop(pool);
            driver.synchronize_event(chunk.done).inspect_err(|_| self.lose())?;
            return Ok(chunk);
        }
    }

    fn create(&self, driver: &dyn Driver) -> Result<Chunk> {
        let memory = driver.allocate_host(CHUNK)?;
        let done = driver.create_event().inspect_err(|_| {
            // SAFETY: just allocated, and used by nobody.
            unsafe { driver.free_host(memory, CHUNK) }
        })?;
        Ok(Chunk { memory, done })
    }

    fn give(&self, chunk: Chunk) {
        lock(&self.0).idle.push(chunk);
    }

    /// A chunk taken will not come back: after a failure nobody knows what the device still does
    /// to its memory, so that is neither reused nor freed.
    fn lose(&self) {
        lock(&self.0).total -= 1;
    }

    /// Frees the chunks, when the device goes.
    pub(crate) fn clear(&self, driver: &dyn Driver) {
        for chunk in lock(&self.0).idle.drain(..) {
            // A device that fails here is lost, and so is its memory.
            if driver.synchronize_event(chunk.done).is_ok() {
                // SAFETY: the device is done with the chunk, and the pool held its only name.
                unsafe {
                    driver.destroy_event(chunk.done);
                    driver.free_host(chunk.memory, CHUNK);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::late::LateDriver;
    use super::*;

    #[test]
    fn the_callers_slice_may_change_after_an_upload() {
        let driver = LateDriver::new();
        let staging = Staging::default();
        let stream = driver.create_stream().unwrap();
        let len = 3 * CHUNK + 17;
        let at = driver.allocate(len, stream).unwrap();
        let mut data: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
        // SAFETY: `at` has room for `len` bytes and is freed by nobody.
        unsafe { staging.upload(&*driver, at, &data, stream).unwrap() };
        data.fill(0xff);
        let mut back = vec![0; len];
        // SAFETY: as above.
        unsafe { staging.download(&*driver, &mut back, at, stream).unwrap() };
        assert!(back.iter().enumerate().all(|(i, &b)| b == (i % 251) as u8));
    }

    #[test]
    fn chunks_are_reused_only_when_the_device_is_done() {
        let driver = LateDriver::new();
        let staging = Staging::default();
        let stream = driver.create_stream().unwrap();
        let pieces = 3 * MAX_CHUNKS;
        let at = driver.allocate(pieces * CHUNK, stream).unwrap();
        for i in 0..pieces {
            // SAFETY: `at` has room for all pieces and is freed by nobody.
            unsafe {
                staging.upload(&*driver, at + (i * CHUNK) as u64, &[i as u8; 64], stream).unwrap();
            }
        }
        assert!(lock(&staging.0).total <= MAX_CHUNKS);
        for i in 0..pieces {
            let mut back = [0; 64];
            // SAFETY: as above.
            unsafe {
                let from = at + (i * CHUNK) as u64;
                staging.download(&*driver, &mut back, from, stream).unwrap();
            }
            assert_eq!(back, [i as u8; 64]);
        }
        staging.clear(&*driver);
        assert_eq!(driver.pinned_bytes(), 0);
    }
}
