//! The driver's results as errors.

use std::ffi::{CStr, c_char};

use cudarc::driver::sys::{self, CUresult};

use crate::error::{Error, Result};

/// `Ok` for success, else the call's name with what the driver says of the code.
pub(super) fn check(call: &'static str, result: CUresult) -> Result<()> {
    match result {
        CUresult::CUDA_SUCCESS => Ok(()),
        code => {
            let (name, message) = describe(code);
            Err(Error::Driver { api: "CUDA", call, code: code as u32, name, message })
        }
    }
}

/// Name and description of a code.
pub(super) fn describe(code: CUresult) -> (String, String) {
    // SAFETY: both calls take any code, and give a static string or fail.
    unsafe {
        (text(|out| sys::cuGetErrorName(code, out)), text(|out| sys::cuGetErrorString(code, out)))
    }
}

/// A string of the driver's.
///
/// # Safety
/// If `get` succeeds, it gives a static C string.
unsafe fn text(get: impl FnOnce(*mut *const c_char) -> CUresult) -> String {
    let mut text = std::ptr::null();
    match get(&mut text) {
        // SAFETY: the caller's promise, and not null.
        CUresult::CUDA_SUCCESS if !text.is_null() => unsafe {
            CStr::from_ptr(text).to_string_lossy().into_owned()
        },
        _ => "unknown".to_owned(),
    }
}
