//! PTX modules.

use std::ffi::{CString, c_void};

use cudarc::driver::sys::{self, CUfunction_attribute, CUjit_option, CUresult};

use super::error::{check, describe};
use super::probe;
use crate::error::{Error, Result};

/// Room for what the driver's assembler says.
const LOG_BYTES: usize = 16 * 1024;

/// Assembles PTX for the current context's device and finds its kernel.
pub(super) fn load(ptx: &[u8], kernel: &str) -> Result<(sys::CUmodule, sys::CUfunction)> {
    let refuse = |message| Error::Load { api: "CUDA", kernel: kernel.to_owned(), message };
    check_version(ptx).map_err(refuse)?;
    let text = CString::new(ptx).map_err(|_| refuse("the PTX contains a zero byte".to_owned()))?;
    let name = CString::new(kernel).map_err(|_| refuse("its name has a zero byte".to_owned()))?;
    let module = assemble(&text).map_err(refuse)?;
    let mut function = std::ptr::null_mut();
    // SAFETY: the module was just loaded; the pointers are valid.
    let found = unsafe { sys::cuModuleGetFunction(&mut function, module, name.as_ptr()) };
    let ready = check("cuModuleGetFunction", found).and_then(|()| allow_all(function));
    match ready {
        Ok(()) => Ok((module, function)),
        Err(error) => {
            // SAFETY: nobody else knows the module.
            unsafe { sys::cuModuleUnload(module) };
            Err(refuse(error.to_string()))
        }
    }
}

/// Refuses PTX newer than the driver, in words better than its own.
fn check_version(ptx: &[u8]) -> std::result::Result<(), String> {
    let (Some(needed), Ok(driver)) = (version_of(ptx), probe::driver()) else { return Ok(()) };
    if needed <= driver.max_ptx() {
        return Ok(());
    }
    let (major, minor) = needed;
    Err(format!(
        "it is PTX ISA {major}.{minor}, which needs a driver for CUDA {} or newer; this one is for \
         {}",
        probe::driver_for_ptx(needed),
        driver.version_text()
    ))
}

/// The `.version` of PTX text.
fn version_of(ptx: &[u8]) -> Option<(u32, u32)> {
    let text = std::str::from_utf8(ptx).ok()?;
    let version = text.lines().find_map(|line| line.trim().strip_prefix(".version"))?;
    let (major, minor) = version.trim().split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn assemble(text: &CString) -> std::result::Result<sys::CUmodule, String> {
    let mut log = vec![0u8; LOG_BYTES];
    let mut options = [
        CUjit_option::CU_JIT_ERROR_LOG_BUFFER,
        CUjit_option::CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
        CUjit_option::CU_JIT_GENERATE_LINE_INFO,
    ];
    // The driver takes small numbers in place of pointers here (CUDA driver API, `CUjit_option`).
    let mut values = [
        log.as_mut_ptr().cast::<c_void>(),
        std::ptr::without_provenance_mut(LOG_BYTES),
        std::ptr::without_provenance_mut(1),
    ];
    let mut module = std::ptr::null_mut();
    // SAFETY: the text ends with a zero; options and values are as many as said, and of the kinds
    // the options ask for.
    let result = unsafe {
        sys::cuModuleLoadDataEx(
            &mut module,
            text.as_ptr().cast(),
            options.len() as u32,
            options.as_mut_ptr(),
            values.as_mut_ptr(),
        )
    };
    if result == CUresult::CUDA_SUCCESS {
        return Ok(module);
    }
    let (name, message) = describe(result);
    let end = log.iter().position(|&byte| byte == 0).unwrap_or(log.len());
    let log = String::from_utf8_lossy(&log[..end]);
    Err(format!("cuModuleLoadDataEx failed with {name}: {message}\n{}", log.trim_end()))
}

/// Lets launches use all shared memory there is, and clusters beyond the portable size: both need
/// a kernel's consent, and whether a launch asks for too much is checked elsewhere.
fn allow_all(function: sys::CUfunction) -> Result<()> {
    let static_bytes = {
        let mut bytes = 0;
        let attribute = CUfunction_attribute::CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES;
        // SAFETY: a function that was just found; the pointer is valid.
        let result = unsafe { sys::cuFuncGetAttribute(&mut bytes, attribute, function) };
        check("cuFuncGetAttribute", result)?;
        bytes
    };
    let (shared, cluster) = current_device_allows()?;
    let set = |attribute, value| {
        // SAFETY: a function that was just found.
        check("cuFuncSetAttribute", unsafe { sys::cuFuncSetAttribute(function, attribute, value) })
    };
    let dynamic = CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
    set(dynamic, (shared - static_bytes).max(0))?;
    if cluster {
        set(CUfunction_attribute::CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED, 1)?;
    }
    Ok(())
}

/// Shared memory a block may opt in to, and whether there are clusters.
fn current_device_allows() -> Result<(i32, bool)> {
    use sys::CUdevice_attribute::*;
    let mut device = 0;
    // SAFETY: the caller made a context current; the pointer is valid.
    check("cuCtxGetDevice", unsafe { sys::cuCtxGetDevice(&mut device) })?;
    let shared = super::attribute(device, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?;
    let cluster = super::attribute(device, CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH)?;
    Ok((shared as i32, cluster != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_the_text() {
        let ptx = b"// made by us\n.version 8.4\n.target sm_90a\n";
        assert_eq!(version_of(ptx), Some((8, 4)));
        assert_eq!(version_of(b".target sm_90"), None);
    }
}
