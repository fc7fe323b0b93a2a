//! The error records of one stream, and what they say once it is waited for.
//!
//! Each kernel with checks has one [`ErrorRecord`] per stream, made at its first launch there: the
//! first failure of the kernel since the stream was last waited for. So a launch costs a look-up,
//! waiting costs one copy of the records in use, and which kernel failed is known by where the
//! record lies. Records are in device memory, where the kernel's compare-and-swap is certain to
//! work; on host memory it needs PCIe atomics, which not every board has.

use std::collections::VecDeque;
use std::sync::Arc;

use kernelsmith_ir::check::{CheckInfo, ErrorRecord};
use kernelsmith_ir::message::Message;
use rustc_hash::FxHashMap;

use crate::driver::{Driver, Handle};
use crate::error::{CheckFailed, Error, Result};

/// Records allocated at a time.
const BLOCK: usize = 64;
const SIZE: usize = ErrorRecord::SIZE as usize;

/// What a failure's message needs to know of its kernel.
#[derive(Debug)]
pub(crate) struct KernelInfo {
    pub name: String,
    pub checks: Vec<CheckInfo>,
    /// What the kernel prints, by number.
    pub prints: Vec<Message>,
}

/// The records of one stream. They only grow, by 64 bytes for each kernel with checks that was
/// ever launched there; a record is never given to another kernel.
#[derive(Default)]
pub(crate) struct Records {
    /// Addresses of blocks of [`BLOCK`] records.
    blocks: Vec<u64>,
    /// The kernel of each record.
    kernels: Vec<Arc<KernelInfo>>,
    /// The record of each kernel, by its address.
    by_kernel: FxHashMap<usize, u64>,
    pending: bool,
    failures: VecDeque<Error>,
    /// Room for a block's records on the host.
    taken: Vec<ErrorRecord>,
}

impl Records {
    /// The address of the kernel's record.
    pub(crate) fn of(
        &mut self,
        kernel: &Arc<KernelInfo>,
        driver: &dyn Driver,
        stream: Handle,
    ) -> Result<u64> {
        let key = Arc::as_ptr(kernel) as usize;
        if let Some(&at) = self.by_kernel.get(&key) {
            return Ok(at);
        }
        let (block, within) = (self.kernels.len() / BLOCK, self.kernels.len() % BLOCK);
        if block == self.blocks.len() {
            let at = driver.allocate(BLOCK * SIZE, stream)?;
            self.blocks.push(at);
            // SAFETY: just allocated, and freed only with the stream.
            unsafe { driver.zero(at, BLOCK * SIZE, stream)? };
        }
        let at = self.blocks[block] + (within * SIZE) as u64;
        self.kernels.push(kernel.clone());
        self.by_kernel.insert(key, at);
        Ok(at)
    }

    /// Notes that a launch with checks is enqueued. Called after the fact: if somebody waits in
    /// between, the launch is collected then, and again for nothing later.
    pub(crate) fn launched(&mut self) {
        self.pending = true;
    }

    /// Whether there is something to collect.
    pub(crate) fn pending(&self) -> bool {
        self.pending
    }

    /// Waits for the stream, and puts what the records say aside.
    pub(crate) fn collect(&mut self, driver: &dyn Driver, stream: Handle) -> Result<()> {
        for (&at, kernels) in self.blocks.iter().zip(self.kernels.chunks(BLOCK)) {
            // Kept from one time to the next: each wait for small kernels passes here.
            let records = &mut self.taken;
            records.resize(kernels.len(), ErrorRecord::default());
            // SAFETY: a block of ours, with a record for each of its kernels.
            unsafe { driver.take_records(at, records, stream)? };
            let claimed = records.iter().zip(kernels).filter(|(record, _)| record.state != 0);
            let failures = claimed.map(|(record, kernel)| explain(record, kernel).into());
            self.failures.extend(failures);
        }
        let findings = driver.take_findings(stream).into_iter();
        self.failures.extend(findings.map(|finding| Error::Finding(Box::new(finding))));
        self.pending = false;
        Ok(())
    }

    /// The oldest failure, which is then forgotten.
    pub(crate) fn take_failure(&mut self) -> Option<Error> {
        self.failures.pop_front()
    }

    /// Adds to a driver's error which kernels may have caused it.
    pub(crate) fn blame(&self, mut error: Error) -> Error {
        if let Error::Driver { message, .. } = &mut error
            && self.pending
        {
            let names: Vec<_> = self.kernels.iter().map(|kernel| &*kernel.name).collect();
            *message = format!("{message}; kernels launched on this stream: {}", names.join(", "));
        }
        error
    }

    /// Frees the records, when the stream goes.
    pub(crate) fn free(&mut self, driver: &dyn Driver, stream: Handle) {
        for at in self.blocks.drain(..) {
            // SAFETY: allocated here, and only launches of this stream used it.
            unsafe { driver.free(at, BLOCK * SIZE, stream) };
        }
    }
}

/// Puts a record into words.
fn explain(record: &ErrorRecord, kernel: &KernelInfo) -> CheckFailed {
    let check = kernel.checks.get(record.check as usize);
    CheckFailed {
        kernel: kernel.name.clone(),
        location: check.and_then(|check| check.location.clone()),
        kind: check.map_or(kernelsmith_ir::attr::CheckKind::Assert, |check| check.kind),
        message: match check {
            Some(check) => check.message.as_deref().map(|text| match text.parse::<Message>() {
                Ok(message) => message.fill(record.values),
                // The verifier lets no other text pass.
                Err(_) => text.to_owned(),
            }),
            None => Some(format!(
                "unknown check {} of {}; the error record was overwritten",
                record.check,
                kernel.checks.len()
            )),
        },
        index: record.values[0],
        len: record.values[1],
        block: record.block,
        thread: record.thread,
    }
}
