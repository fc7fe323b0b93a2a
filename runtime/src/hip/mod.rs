//! AMD GPUs, through the HIP runtime.
//!
//! The bindings (`cubecl-hip-sys`, as `hip-sys`) open `libamdhip64` at run time and build without
//! ROCm. A missing library or symbol would be a panic there, in a function that cannot unwind, so
//! [`probe`] looks for everything first, and nothing here calls HIP unless it was found.

mod driver;
mod error;
mod probe;

use std::ffi::CStr;
use std::sync::Arc;

use hip_sys::hipDeviceProp_tR0600;
use kernelsmith_ir::Target;
use kernelsmith_ir::target::Gfx;

use crate::device::{Device, DeviceInfo, DeviceKind};
use crate::error::{Error, Result};
use crate::limits::DeviceLimits;
use crate::machine::Machine;
use driver::HipDriver;
use error::check;

/// How many devices the runtime shows, or why there is none.
pub(crate) fn count() -> Result<u32, String> {
    probe::runtime().as_ref().map(|runtime| runtime.devices).map_err(Clone::clone)
}

/// The runtime and its version, for reports.
pub(crate) fn driver_description() -> String {
    match probe::runtime() {
        Ok(runtime) => format!("HIP runtime {}", runtime.version_text()),
        Err(reason) => reason.clone(),
    }
}

/// Opens a device that [`count`] counts.
pub(crate) fn open(index: u32) -> Result<Device> {
    let properties = properties(index)?;
    let gcn = text(&properties.gcnArchName);
    let target =
        target(&gcn).map_err(|reason| Error::NoDevice { kind: DeviceKind::Hip, index, reason })?;
    let limits = limits(&properties, &target);
    let (kind, name) = (DeviceKind::Hip, text(&properties.name));
    let info = DeviceInfo { kind, index, name, target, limits, machine: machine(&properties) };
    Device::from_driver(Arc::new(HipDriver::new(index)?), info)
}

fn properties(index: u32) -> Result<hipDeviceProp_tR0600> {
    // SAFETY: a structure of numbers, arrays of numbers and nothing else.
    let mut properties: hipDeviceProp_tR0600 = unsafe { std::mem::zeroed() };
    // SAFETY: the runtime is here; the pointer is valid, and the structure is the one of this
    // version of the function.
    let result = unsafe { hip_sys::hipGetDevicePropertiesR0600(&mut properties, index as i32) };
    check("hipGetDeviceProperties", result)?;
    Ok(properties)
}

/// A string of the runtime's, which ends with a zero.
fn text(chars: &[std::ffi::c_char]) -> String {
    let bytes: Vec<u8> = chars.iter().map(|&c| c as u8).collect();
    CStr::from_bytes_until_nul(&bytes)
        .map(|text| text.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// The target of an architecture name, whose features (`gfx942:sramecc+:xnack-`) do not matter to
/// code that leaves them open.
fn target(gcn: &str) -> Result<Target, String> {
    let name = gcn.split(':').next().unwrap_or(gcn);
    let known = Gfx::ALL.into_iter().find(|gfx| gfx.name() == name);
    known.map(Target::Amdgcn).ok_or_else(|| {
        let names: Vec<_> = Gfx::ALL.iter().map(|gfx| gfx.name()).collect();
        format!("its architecture is `{name}`; there is code for {}", names.join(", "))
    })
}

fn limits(properties: &hipDeviceProp_tR0600, target: &Target) -> DeviceLimits {
    let number = |value: i32| u32::try_from(value).unwrap_or(0);
    DeviceLimits {
        max_grid: properties.maxGridSize.map(number),
        max_block: properties.maxThreadsDim.map(number),
        max_threads_per_block: number(properties.maxThreadsPerBlock),
        // HIP counts a grid in threads of 32 bits (HIP, `hipModuleLaunchKernel`).
        max_threads_per_axis: Some(u32::MAX.into()),
        max_shared_bytes: u32::try_from(properties.sharedMemPerBlock).unwrap_or(u32::MAX),
        warp_size: number(properties.warpSize),
        compute_units: number(properties.multiProcessorCount),
        memory_bytes: properties.totalGlobalMem as u64,
        ..DeviceLimits::of(target)
    }
}

fn machine(properties: &hipDeviceProp_tR0600) -> Machine {
    let number = |value: i32| usize::try_from(value).unwrap_or(0);
    Machine::of_gpu(
        number(properties.multiProcessorCount),
        properties.maxSharedMemoryPerMultiProcessor,
        number(properties.l2CacheSize),
        number(properties.warpSize),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn architectures_are_known_by_name_without_features() {
        assert_eq!(target("gfx942:sramecc+:xnack-"), Ok(Target::Amdgcn(Gfx::Gfx942)));
        assert_eq!(target("gfx1100"), Ok(Target::Amdgcn(Gfx::Gfx1100)));
        assert_eq!(
            target("gfx906:sramecc+").unwrap_err(),
            "its architecture is `gfx906`; there is code for gfx90a, gfx942, gfx950, gfx1100, \
             gfx1201"
        );
    }

    #[test]
    fn strings_end_at_the_zero() {
        assert_eq!(text(&[b'g' as _, b'x' as _, 0, b'?' as _]), "gx");
        assert_eq!(text(&[b'g' as _]), "");
    }
}
