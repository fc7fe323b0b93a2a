//! The runtime's results as errors.

use std::ffi::{CStr, c_char};

use crate::error::{Error, Result};

/// `Ok` for success, else the call's name with what HIP says of the code.
pub(super) fn check(call: &'static str, result: hip_sys::hipError_t) -> Result<()> {
    if result == hip_sys::hipError_t_hipSuccess {
        return Ok(());
    }
    let (name, message) = describe(result);
    Err(Error::Driver { api: "HIP", call, code: result, name, message })
}

/// Name and description of a code.
pub(super) fn describe(code: hip_sys::hipError_t) -> (String, String) {
    // SAFETY: both calls take any code and give a static string.
    unsafe { (text(hip_sys::hipGetErrorName(code)), text(hip_sys::hipGetErrorString(code))) }
}

/// A string of the runtime's.
///
/// # Safety
/// Null, or a static C string.
unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return "unknown".to_owned();
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
