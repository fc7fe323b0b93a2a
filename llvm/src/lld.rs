//! Linking AMD code objects.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Error, find};

/// The linker that [`link_shared`] tries first.
///
/// # Errors
/// If there is none.
pub fn linker() -> Result<PathBuf, Error> {
    find::linkers().next().ok_or(Error::NoLinker)
}

/// Links a relocatable object into a shared one, which is what HIP's loader takes.
///
/// # Errors
/// If there is no linker that starts, or it fails.
pub fn link_shared(object: &[u8]) -> Result<Vec<u8>, Error> {
    let mut failure = Error::NoLinker;
    for linker in find::linkers() {
        match link(&linker, object) {
            Ok(bytes) => return Ok(bytes),
            Err(Failure::Link(message)) => return Err(Error::Link { linker, message }),
            // Built for another system, perhaps: another one may start.
            Err(Failure::Start(message)) => failure = Error::Link { linker, message },
        }
    }
    Err(failure)
}

enum Failure {
    Start(String),
    Link(String),
}

fn link(linker: &Path, object: &[u8]) -> Result<Vec<u8>, Failure> {
    let io = |path: &Path, e| Failure::Link(format!("{}: {e}", path.display()));
    let folder = tempfile::Builder::new()
        .prefix("kernelsmith-")
        .tempdir()
        .map_err(|e| Failure::Link(format!("no temporary folder: {e}")))?;
    let (input, output) = (folder.path().join("kernel.o"), folder.path().join("kernel.hsaco"));
    fs::write(&input, object).map_err(|e| io(&input, e))?;
    // An ld.lld takes the flavor too: it looks at its first argument before its own name.
    let run = Command::new(linker)
        .args(["-flavor", "gnu", "-shared", "--no-undefined", "-o"])
        .args([&output, &input])
        .output()
        .map_err(|e| Failure::Start(e.to_string()))?;
    if !run.status.success() {
        let text = String::from_utf8_lossy(&run.stderr).trim().to_owned();
        return Err(Failure::Link(if text.is_empty() { run.status.to_string() } else { text }));
    }
    fs::read(&output).map_err(|e| io(&output, e))
}
