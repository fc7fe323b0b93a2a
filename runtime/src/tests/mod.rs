//! Tests across modules: on the CPU, and on a driver that puts everything off.

mod copies;
mod cpu;
mod failures;
mod launches;
mod order;

use std::sync::Arc;

use kernelsmith_ir::Target;
use kernelsmith_ir::attr::CheckKind;
use kernelsmith_ir::check::{CheckInfo, ErrorRecord};

use crate::compile::{CpuCode, Loaded};
use crate::device::{DeviceInfo, DeviceKind};
use crate::driver::late::{LateDriver, State};
use crate::kernel::ParamLayout;
use crate::limits::{DeviceLimits, KernelNeeds};
use crate::{CompiledKernel, Device, LaunchConfig, Result};

/// A device whose work happens as late as it may.
fn late() -> (Device, Arc<LateDriver>) {
    let driver = LateDriver::new();
    let target = Target::sm(90, true);
    let limits = DeviceLimits::of(&target);
    let (kind, name) = (DeviceKind::Cuda, "late".to_owned());
    let machine = crate::Machine::default();
    let info = DeviceInfo { kind, index: 0, name, target, limits, machine };
    (Device::from_driver(driver.clone(), info).unwrap(), driver)
}

/// Parameters of these sizes, each at its natural place.
fn params(sizes: &[u32]) -> Vec<ParamLayout> {
    let mut at = 0u32;
    let place = |(i, &size): (usize, &u32)| {
        let offset = at.next_multiple_of(size);
        at = offset + size;
        ParamLayout { name: format!("p{i}"), offset, size, tensor: None }
    };
    sizes.iter().enumerate().map(place).collect()
}

/// The checks every test kernel has: a bounds check, then an assertion.
fn checks() -> Vec<CheckInfo> {
    let at = |line| Some(("src/kernel.rs".to_owned(), line, 9));
    vec![
        CheckInfo { kind: CheckKind::Bounds, message: None, location: at(10) },
        CheckInfo { kind: CheckKind::Assert, message: Some("n is even".into()), location: at(20) },
    ]
}

/// A kernel for the late device.
fn late_kernel(
    device: &Device,
    name: &str,
    sizes: &[u32],
    run: impl Fn(&mut State, &[u8], u64) + Send + Sync + 'static,
) -> CompiledKernel {
    late_kernel_of(device, name, params(sizes), run)
}

/// A kernel for the late device, with these parameters.
fn late_kernel_of(
    device: &Device,
    name: &str,
    params: Vec<ParamLayout>,
    run: impl Fn(&mut State, &[u8], u64) + Send + Sync + 'static,
) -> CompiledKernel {
    let loaded = Loaded::Late(Arc::new(run));
    let needs = KernelNeeds::default();
    CompiledKernel::from_parts(device.clone(), name, params, checks(), needs, loaded)
}

struct Closure<F>(F);

impl<F: Fn(&LaunchConfig, &[u8], &mut ErrorRecord) + Send + Sync> CpuCode for Closure<F> {
    unsafe fn run(
        &self,
        config: &LaunchConfig,
        args: &[u8],
        record: &mut ErrorRecord,
    ) -> Result<()> {
        (self.0)(config, args, record);
        Ok(())
    }
}

/// A kernel for the CPU.
fn cpu_kernel(
    name: &str,
    sizes: &[u32],
    run: impl Fn(&LaunchConfig, &[u8], &mut ErrorRecord) + Send + Sync + 'static,
) -> CompiledKernel {
    let loaded = Loaded::Cpu(Box::new(Closure(run)));
    let needs = KernelNeeds::default();
    CompiledKernel::from_parts(Device::cpu(), name, params(sizes), checks(), needs, loaded)
}

/// The 8-byte argument at a place.
fn word(args: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(args[at..at + 8].try_into().unwrap())
}

/// A record as a device leaves it.
fn failed(check: u32, index: u64, len: u64) -> ErrorRecord {
    let (block, thread) = ([3, 0, 0], [17, 0, 0]);
    ErrorRecord { state: 1, check, values: [index, len, 0, 0], block, thread }
}

/// One block of one thread.
const ONE: LaunchConfig = LaunchConfig::new([1, 1, 1], [1, 1, 1]);
