//! Opening shared libraries, for the reasons when that fails.

use std::error::Error;
use std::ffi::OsStr;

use libloading::Library;

/// A library, or what the dynamic loader said.
pub(crate) fn open(name: impl AsRef<OsStr>) -> Result<Library, String> {
    // SAFETY: only drivers are opened here. Their initialisers run, which is what they are for.
    unsafe { Library::new(name.as_ref()) }.map_err(|error| match error.source() {
        Some(source) => source.to_string(),
        None => error.to_string(),
    })
}
