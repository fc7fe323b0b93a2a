//! [`Driver`] over the interpreter's memory.

use std::collections::HashMap;
use std::sync::Mutex;

use kernelsmith_ir::check::ErrorRecord;
use kernelsmith_ir::interp::{self, Finding, Memory, NoBuffer};

use crate::compile::Loaded;
use crate::cpu::CpuDriver;
use crate::driver::{Driver, Handle, PackedArgs};
use crate::error::{Error, Result};
use crate::launch::LaunchConfig;
use crate::sync::lock;

/// Replays the schedule of a finding: the seed of every launch. Without it, the launches of a
/// stream are numbered, and a launch's number is its seed.
const SEED: &str = "KERNELSMITH_SEED";

#[derive(Default)]
struct State {
    memory: Memory,
    /// Claimed error records, by address.
    records: HashMap<u64, ErrorRecord>,
    /// What was found, by stream.
    findings: HashMap<usize, Vec<Finding>>,
    /// How many launches there were, by stream.
    launches: HashMap<usize, u64>,
    streams: usize,
}

/// See the module above.
#[derive(Default)]
pub(crate) struct InterpreterDriver {
    /// Events are moments, as on the CPU.
    clock: CpuDriver,
    state: Mutex<State>,
}

fn outside(error: NoBuffer) -> Error {
    let value = format!("{:#x}", error.address);
    Error::invalid("address", value, format!("{error}: it must lie in a buffer of the interpreter"))
}

/// The seed that the user asks for.
fn seed() -> Result<Option<u64>> {
    let Ok(value) = std::env::var(SEED) else { return Ok(None) };
    let rule = "must be a number below 2^64, as findings give it";
    value.parse().map(Some).map_err(|_| Error::invalid(SEED, value, rule))
}

impl Driver for InterpreterDriver {
    fn runs_in_place(&self) -> bool {
        true
    }

    fn create_stream(&self) -> Result<Handle> {
        let mut state = lock(&self.state);
        state.streams += 1;
        // A number to tell streams apart, never followed.
        Ok(Handle(std::ptr::without_provenance_mut(state.streams)))
    }

    unsafe fn destroy_stream(&self, stream: Handle) {
        let mut state = lock(&self.state);
        state.findings.remove(&stream.0.addr());
        state.launches.remove(&stream.0.addr());
    }

    fn synchronize(&self, _: Handle) -> Result<()> {
        Ok(())
    }

    fn is_idle(&self, _: Handle) -> Result<bool> {
        Ok(true)
    }

    fn create_event(&self) -> Result<Handle> {
        self.clock.create_event()
    }

    unsafe fn destroy_event(&self, event: Handle) {
        // SAFETY: the caller's promise, for an event that the clock made.
        unsafe { self.clock.destroy_event(event) };
    }

    fn record(&self, event: Handle, stream: Handle) -> Result<()> {
        self.clock.record(event, stream)
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
        self.clock.milliseconds(start, end)
    }

    fn allocate(&self, bytes: usize, _: Handle) -> Result<u64> {
        Ok(lock(&self.state).memory.allocate(bytes))
    }

    unsafe fn free(&self, address: u64, _: usize, _: Handle) {
        let mut state = lock(&self.state);
        state.records.remove(&address);
        // Nothing to be done about an address that is no buffer's, and the caller vouches for it.
        let _ = state.memory.free(address);
    }

    fn allocate_host(&self, bytes: usize) -> Result<*mut u8> {
        self.clock.allocate_host(bytes)
    }

    unsafe fn free_host(&self, pointer: *mut u8, bytes: usize) {
        // SAFETY: the caller's promise, for memory of `allocate_host`.
        unsafe { self.clock.free_host(pointer, bytes) };
    }

    unsafe fn copy_in(&self, to: u64, from: *const u8, bytes: usize, _: Handle) -> Result<()> {
        // SAFETY: the caller vouches for the host's side.
        let from = unsafe { std::slice::from_raw_parts(from, bytes) };
        lock(&self.state).memory.write(to, from).map_err(outside)
    }

    unsafe fn copy_out(&self, to: *mut u8, from: u64, bytes: usize, _: Handle) -> Result<()> {
        // SAFETY: the caller vouches for the host's side.
        let to = unsafe { std::slice::from_raw_parts_mut(to, bytes) };
        lock(&self.state).memory.read(from, to).map_err(outside)
    }

    unsafe fn copy(&self, to: u64, from: u64, bytes: usize, _: Handle) -> Result<()> {
        lock(&self.state).memory.copy(to, from, bytes).map_err(outside)
    }

    unsafe fn zero(&self, at: u64, bytes: usize, _: Handle) -> Result<()> {
        lock(&self.state).memory.write(at, &vec![0; bytes]).map_err(outside)
    }

    fn load(&self, _: &[u8], kernel: &str) -> Result<(Handle, Handle)> {
        let message = "the interpreter loads no machine code".to_owned();
        Err(Error::Load { api: "interpreter", kernel: kernel.to_owned(), message })
    }

    unsafe fn unload(&self, _: Handle) {}

    unsafe fn launch(
        &self,
        stream: Handle,
        kernel: &Loaded,
        config: &LaunchConfig,
        args: PackedArgs<'_>,
    ) -> Result<()> {
        let Loaded::Interpreted { program, warp_size } = kernel else {
            let rule = "must be compiled for the interpreter";
            return Err(Error::invalid("kernel", "code for another device", rule));
        };
        let asked = seed()?;
        let mut state = lock(&self.state);
        let State { memory, records, findings, launches, .. } = &mut *state;
        let number = launches.entry(stream.0.addr()).or_default();
        *number += 1;
        let launch = interp::Launch {
            grid: config.grid,
            block: config.block,
            dynamic_shared: config.shared_bytes,
            args: args.visible(),
            extents: args.extents,
            warp_size: *warp_size,
            seed: asked.unwrap_or(*number),
            fuel: interp::Launch::FUEL,
        };
        let outcome = interp::run(program, &launch, memory);
        if outcome.record.state != 0 {
            records.entry(args.record).or_insert(outcome.record);
        }
        findings.entry(stream.0.addr()).or_default().extend(outcome.findings);
        Ok(())
    }

    unsafe fn take_records(&self, at: u64, records: &mut [ErrorRecord], _: Handle) -> Result<()> {
        let mut state = lock(&self.state);
        for (i, record) in (0..).zip(records) {
            let address = at + i * u64::from(ErrorRecord::SIZE);
            *record = state.records.remove(&address).unwrap_or_default();
        }
        Ok(())
    }

    fn take_findings(&self, stream: Handle) -> Vec<Finding> {
        lock(&self.state).findings.remove(&stream.0.addr()).unwrap_or_default()
    }
}
