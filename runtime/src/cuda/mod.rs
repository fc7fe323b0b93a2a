//! NVIDIA GPUs, through CUDA's driver API.
//!
//! Of CUDA only the driver's own library is needed, which is opened at run time. The bindings
//! (cudarc) panic when the library or a symbol is missing, so [`probe`] looks for both first, and
//! nothing here calls the driver unless it found them.

mod driver;
mod error;
mod module;
mod probe;
mod tensor_map;

use std::ffi::CStr;
use std::sync::Arc;

use cudarc::driver::sys::{self, CUdevice_attribute};
use kernelsmith_ir::Target;

use crate::device::{Device, DeviceInfo, DeviceKind};
use crate::error::{Error, Result};
use crate::limits::DeviceLimits;
use crate::machine::Machine;
use driver::CudaDriver;
use error::check;

/// How many devices the driver shows, or why there is no driver.
pub(crate) fn count() -> Result<u32, String> {
    probe::driver().as_ref().map(|driver| driver.devices).map_err(Clone::clone)
}

/// The driver and its version, for reports.
pub(crate) fn driver_description() -> String {
    match probe::driver() {
        Ok(driver) => {
            let (major, minor) = driver.max_ptx();
            format!("CUDA driver {} (PTX ISA {major}.{minor})", driver.version_text())
        }
        Err(reason) => reason.clone(),
    }
}

/// Opens a device that [`count`] counts.
pub(crate) fn open(index: u32) -> Result<Device> {
    let mut device = 0;
    // SAFETY: the driver is here and initialised; the pointer is valid.
    check("cuDeviceGet", unsafe { sys::cuDeviceGet(&mut device, index as i32) })?;
    let major =
        attribute(device, CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
    let minor =
        attribute(device, CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
    let target = target(major * 10 + minor).map_err(|reason| Error::NoDevice {
        kind: DeviceKind::Cuda,
        index,
        reason,
    })?;
    let name = name(device)?;
    let limits = limits(device, &target)?;
    let driver = CudaDriver::new(device, index)?;
    let machine = machine(device)?;
    let info = DeviceInfo { kind: DeviceKind::Cuda, index, name, target, limits, machine };
    Device::from_driver(Arc::new(driver), info)
}

/// The target to compile for. PTX runs on later compute capabilities, too, except that with
/// architecture-specific features (PTX ISA, "`.target`"), so those are used only on an exact match.
fn target(compute_capability: u32) -> Result<Target, String> {
    let base = Target::SMS.into_iter().filter(|&sm| sm <= compute_capability).max();
    let (major, minor) = (compute_capability / 10, compute_capability % 10);
    let base = base.ok_or_else(|| {
        let oldest = Target::SMS[0];
        format!(
            "its compute capability is {major}.{minor}; {}.{} or newer is needed",
            oldest / 10,
            oldest % 10
        )
    })?;
    Ok(Target::sm(base, base == compute_capability && base >= 90))
}

fn name(device: sys::CUdevice) -> Result<String> {
    let mut name = [0; 256];
    // SAFETY: the buffer is as long as said; the driver ends the name with a zero.
    let name = unsafe {
        check("cuDeviceGetName", sys::cuDeviceGetName(name.as_mut_ptr(), 256, device))?;
        CStr::from_ptr(name.as_ptr())
    };
    Ok(name.to_string_lossy().into_owned())
}

fn attribute(device: sys::CUdevice, attribute: CUdevice_attribute) -> Result<u32> {
    let mut value = 0;
    // SAFETY: the pointer is valid; the driver refuses unknown attributes.
    let result = unsafe { sys::cuDeviceGetAttribute(&mut value, attribute, device) };
    check("cuDeviceGetAttribute", result)?;
    Ok(u32::try_from(value).unwrap_or(0))
}

fn limits(device: sys::CUdevice, target: &Target) -> Result<DeviceLimits> {
    use CUdevice_attribute::*;
    let get = |which| attribute(device, which);
    let mut memory_bytes = 0usize;
    // SAFETY: the pointer is valid.
    check("cuDeviceTotalMem", unsafe { sys::cuDeviceTotalMem_v2(&mut memory_bytes, device) })?;
    Ok(DeviceLimits {
        max_grid: [
            get(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X)?,
            get(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y)?,
            get(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z)?,
        ],
        max_block: [
            get(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X)?,
            get(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y)?,
            get(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z)?,
        ],
        max_threads_per_block: get(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK)?,
        max_shared_bytes: get(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?,
        max_cluster: match get(CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH)? {
            0 => 1,
            _ => DeviceLimits::of(target).max_cluster,
        },
        warp_size: get(CU_DEVICE_ATTRIBUTE_WARP_SIZE)?,
        compute_units: get(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?,
        memory_bytes: memory_bytes as u64,
        ..DeviceLimits::of(target)
    })
}

fn machine(device: sys::CUdevice) -> Result<Machine> {
    use CUdevice_attribute::*;
    let get = |which| attribute(device, which).map(|n| n as usize);
    let units = get(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?;
    let l1 = get(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR)?;
    let l2 = get(CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE)?;
    Ok(Machine::of_gpu(units, l1, l2, get(CU_DEVICE_ATTRIBUTE_WARP_SIZE)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_devices_run_older_ptx_without_specific_features() {
        let name = |cc| target(cc).map(|target| target.to_string());
        assert_eq!(name(75).as_deref(), Ok("sm_75"));
        assert_eq!(name(87).as_deref(), Ok("sm_86"));
        assert_eq!(name(89).as_deref(), Ok("sm_89"));
        assert_eq!(name(90).as_deref(), Ok("sm_90a"));
        assert_eq!(name(100).as_deref(), Ok("sm_100a"));
        assert_eq!(name(103).as_deref(), Ok("sm_100"));
        assert_eq!(name(70).unwrap_err(), "its compute capability is 7.0; 7.5 or newer is needed");
    }
}
