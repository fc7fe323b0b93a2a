//! Linking AMD code objects.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs, io, process};

use crate::{Error, find};

/// The linker that [`link_shared`] uses.
///
/// # Errors
/// If there is none.
pub fn linker() -> Result<PathBuf, Error> {
    let tried = find::linkers();
    tried.first().cloned().ok_or_else(|| Error::NoLinker {
        tried: vec![
            find::sysroot()
                .unwrap_or("<no Rust sysroot>".as_ref())
                .join("lib/rustlib/*/bin/rust-lld"),
            "ld.lld".into(),
        ],
    })
}

/// Links a relocatable object into a shared one, as HIP's loader wants it.
///
/// # Errors
/// If there is no linker, or it fails.
pub fn link_shared(object: &[u8]) -> Result<Vec<u8>, Error> {
    let linker = linker()?;
    let failed = |message: String| Error::Link { linker: linker.clone(), message };
    let folder = TempFolder::new().map_err(|e| failed(format!("no temporary folder: {e}")))?;
    let (input, output) = (folder.0.join("kernel.o"), folder.0.join("kernel.hsaco"));
    fs::File::create(&input)
        .and_then(|mut f| f.write_all(object))
        .map_err(|e| failed(format!("{}: {e}", input.display())))?;
    let run = Command::new(&linker)
        .args(["-flavor", "gnu", "-shared", "--no-undefined", "-o"])
        .args([&output, &input])
        .output()
        .map_err(|e| failed(e.to_string()))?;
    if !run.status.success() {
        return Err(failed(String::from_utf8_lossy(&run.stderr).trim().to_owned()));
    }
    fs::read(&output).map_err(|e| failed(format!("{}: {e}", output.display())))
}

/// A folder that goes when dropped.
struct TempFolder(PathBuf);

impl TempFolder {
    fn new() -> io::Result<TempFolder> {
        use std::sync::atomic::{AtomicU32, Ordering};
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("kernelsmith-{}-{n}", process::id()));
        // Not create_dir_all: a folder somebody else made is not to be trusted.
        fs::create_dir(&path)?;
        Ok(TempFolder(path))
    }
}

impl Drop for TempFolder {
    fn drop(&mut self) {
        // Nothing is lost if a temporary folder stays.
        let _ = fs::remove_dir_all(&self.0);
    }
}
