//! The report behind `kernelsmith devices`.

use std::fmt;

use super::{Device, DeviceKind};
use crate::error::{Error, Result as RuntimeResult};
use crate::{cuda, hip};

/// What devices are here, and why others are not.
#[derive(Clone, Debug)]
pub struct Availability {
    /// Devices that work, the best first.
    pub present: Vec<Present>,
    /// What is not here.
    pub missing: Vec<Unavailable>,
}

/// A device that works.
#[derive(Clone, Debug)]
pub struct Present {
    /// The device.
    pub device: Device,
    /// The driver behind it, with its version.
    pub driver: String,
}

/// A kind of device, or one device of it, that is not here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unavailable {
    /// The kind.
    pub kind: DeviceKind,
    /// The device, where the driver shows it but it cannot be used.
    pub index: Option<u32>,
    /// Why.
    pub reason: String,
}

/// Opens everything there is.
pub(super) fn report() -> Availability {
    let mut report = Availability { present: Vec::new(), missing: Vec::new() };
    report.add(DeviceKind::Cuda, cuda::count(), cuda::driver_description, Device::cuda);
    report.add(DeviceKind::Hip, hip::count(), hip::driver_description, Device::hip);
    report.present.push(Present { device: Device::cpu(), driver: "this process".to_owned() });
    report
}

impl Availability {
    fn add(
        &mut self,
        kind: DeviceKind,
        count: Result<u32, String>,
        driver: fn() -> String,
        open: fn(u32) -> RuntimeResult<Device>,
    ) {
        let count = match count {
            Ok(0) => Err(format!("{} shows no device", driver())),
            other => other,
        };
        match count {
            Err(reason) => self.missing.push(Unavailable { kind, index: None, reason }),
            Ok(count) => {
                for index in 0..count {
                    match open(index) {
                        Ok(device) => self.present.push(Present { device, driver: driver() }),
                        Err(error) => self.missing.push(Unavailable {
                            kind,
                            index: Some(index),
                            reason: reason_of(error),
                        }),
                    }
                }
            }
        }
    }
}

/// The reason without the device it belongs to, which the report names itself.
fn reason_of(error: Error) -> String {
    match error {
        Error::NoDevice { reason, .. } => reason,
        other => other.to_string(),
    }
}

impl fmt::Display for Availability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Present { device, driver } in &self.present {
            writeln!(f, "{device}, through {driver}")?;
        }
        for Unavailable { kind, index, reason } in &self.missing {
            match index {
                Some(index) => writeln!(f, "{kind} {index}: {reason}")?,
                None => writeln!(f, "{kind}: {reason}")?,
            }
        }
        Ok(())
    }
}
