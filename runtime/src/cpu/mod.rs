//! The CPU as a device.
//!
//! Memory is the process's own, and a stream is no queue at all: what is asked for happens at once,
//! on the calling thread, a launch with the help of the thread pool. That keeps a tiny launch in the
//! low microseconds, and no lock is held while a kernel runs, so a kernel launched from inside the
//! pool cannot wait for itself. Two threads that use one stream at the same time have not asked for
//! any order, and get none; each one's own calls are in order by being calls.

mod driver;
mod pool;

use std::sync::Arc;

use kernelsmith_ir::Target;

use crate::codegen;
use crate::device::{Device, DeviceInfo, DeviceKind};
use crate::limits::DeviceLimits;
use crate::machine::Machine;

use crate::driver::Handle;
pub(crate) use driver::CpuDriver;

/// Opens the CPU.
pub(crate) fn open() -> Device {
    let target = Target::Cpu;
    let limits = DeviceLimits {
        compute_units: std::thread::available_parallelism().map_or(1, |n| n.get() as u32),
        memory_bytes: memory_bytes().unwrap_or(0),
        has_dot2: codegen::cpu_has_dot2(),
        ..DeviceLimits::of(&target)
    };
    let machine = Machine::of_host();
    let info =
        DeviceInfo { kind: DeviceKind::Cpu, index: 0, name: name(), target, limits, machine };
    // A stream of the CPU is nothing, so none can fail to be made.
    Device::from_parts(Arc::new(CpuDriver::default()), info, Handle::NULL)
}

/// The processor's name, where the operating system tells it.
fn name() -> String {
    first_field("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

fn memory_bytes() -> Option<u64> {
    let kilobytes = first_field("/proc/meminfo", "MemTotal")?;
    Some(kilobytes.strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// The value of the first `name : value` line of a file.
fn first_field(path: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = fields.find(|(field, _)| field.trim() == name)?;
    Some(value.trim().to_owned()).filter(|value| !value.is_empty())
}
