//! Finding a device, once.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};

use super::{Device, DeviceKind};
use crate::error::{Error, Result};
use crate::sync::lock;
use kernelsmith_ir::Target;

use crate::{cpu, cuda, hip, interpreter};

/// The CPU.
pub(super) fn cpu() -> Device {
    static CPU: OnceLock<Device> = OnceLock::new();
    CPU.get_or_init(cpu::open).clone()
}

/// The interpreter for a target.
pub(super) fn interpreter(target: Target) -> Device {
    static OPEN: OnceLock<Mutex<Vec<Device>>> = OnceLock::new();
    let mut devices = lock(OPEN.get_or_init(Mutex::default));
    if let Some(device) = devices.iter().find(|device| *device.target() == target) {
        return device.clone();
    }
    let device = interpreter::open(target, devices.len() as u32);
    devices.push(device.clone());
    device
}

/// A CUDA device.
pub(super) fn cuda(index: u32) -> Result<Device> {
    opened(DeviceKind::Cuda, index, || match cuda::count() {
        Ok(count) if index < count => cuda::open(index),
        Ok(count) => Err(beyond(DeviceKind::Cuda, index, count)),
        Err(reason) => Err(missing(DeviceKind::Cuda, index, reason)),
    })
}

/// A HIP device.
pub(super) fn hip(index: u32) -> Result<Device> {
    opened(DeviceKind::Hip, index, || match hip::count() {
        Ok(count) if index < count => hip::open(index),
        Ok(count) => Err(beyond(DeviceKind::Hip, index, count)),
        Err(reason) => Err(missing(DeviceKind::Hip, index, reason)),
    })
}

fn missing(kind: DeviceKind, index: u32, reason: String) -> Error {
    Error::NoDevice { kind, index, reason }
}

fn beyond(kind: DeviceKind, index: u32, count: u32) -> Error {
    let reason = match count {
        0 => "the driver is here but shows no device".to_owned(),
        _ => format!("the driver shows {count} device(s), numbered from 0"),
    };
    missing(kind, index, reason)
}

/// The device if it was opened before, else what `open` opens. Buffers of two callers live on the
/// same device only because both get the same object.
fn opened(kind: DeviceKind, index: u32, open: impl FnOnce() -> Result<Device>) -> Result<Device> {
    static OPEN: OnceLock<Mutex<HashMap<(DeviceKind, u32), Device>>> = OnceLock::new();
    let mut devices = lock(OPEN.get_or_init(Mutex::default));
    if let Some(device) = devices.get(&(kind, index)) {
        return Ok(device.clone());
    }
    let device = open()?;
    devices.insert((kind, index), device.clone());
    Ok(device)
}
