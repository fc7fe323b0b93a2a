//! The interpreter as a device: it runs kernels slowly, and finds what is wrong in them.
//!
//! Memory is the interpreter's own, with bounds and a note for each byte whether it was written. As
//! on the CPU a stream is no queue: a launch has ended when the call returns, and what it found
//! waits in the stream until somebody synchronises.

mod driver;

use std::sync::Arc;

use kernelsmith_ir::Target;

use crate::device::{Device, DeviceInfo, DeviceKind};
use crate::driver::Handle;
use crate::limits::DeviceLimits;
use crate::machine::Machine;
use driver::InterpreterDriver;

/// Makes [`Device::cpu`] and [`Device::best`] the interpreter, unless it is empty or `0`. A
/// target's name chooses that target; anything else is [`TARGET`].
const VARIABLE: &str = "KERNELSMITH_SANITIZE";

/// The target whose kernels the interpreter runs unless told otherwise: the one with the most
/// operations.
pub(crate) const TARGET: Target = Target::sm(90, true);

/// What [`VARIABLE`] asks for.
pub(crate) fn asked_for() -> Option<Target> {
    let value = std::env::var(VARIABLE).ok()?;
    match value.as_str() {
        "" | "0" => None,
        name => Some(name.parse().unwrap_or(TARGET)),
    }
}

/// Opens the interpreter for a target. `index` tells devices for different targets apart.
pub(crate) fn open(target: Target, index: u32) -> Device {
    // So that it runs what CPUs with the instruction run.
    let limits = DeviceLimits { has_dot2: target == Target::Cpu, ..DeviceLimits::of(&target) };
    let name = format!("kernels for {target}");
    let machine = Machine::default();
    let kind = DeviceKind::Interpreter;
    let info = DeviceInfo { kind, index, name, target, limits, machine };
    Device::from_parts(Arc::new(InterpreterDriver::default()), info, Handle::NULL)
}
