//! The bundle of release binaries that runs every hardware test and benchmark on a machine with an
//! NVIDIA driver and no Rust.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Binaries of the benches package that need a GPU.
const BINARIES: [&str; 2] = ["gpu-tests", "gpu-bench"];

/// Bundles are copied to machines by hand; a size that mails and repositories still take.
const MAX_BYTES: u64 = 48 << 20;

/// Builds the binaries and lays them out under `gpu-bundle/` at the workspace root.
pub(crate) fn build() -> Result<(), Box<dyn Error>> {
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("xtask has no parent folder")?;
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root).args(["build", "--locked", "--profile", "gpu-bundle"]);
    cargo.args(["--package", "kernelsmith-benches"]);
    for binary in BINARIES {
        cargo.args(["--bin", binary]);
    }
    if !cargo.status()?.success() {
        return Err("building the hardware binaries failed".into());
    }

    let bundle = root.join("gpu-bundle");
    let bin = bundle.join("bin");
    fs::create_dir_all(&bin)?;
    let mut bytes = 0;
    for binary in BINARIES {
        let built = target_dir(root).join("gpu-bundle").join(binary);
        bytes += fs::copy(&built, bin.join(binary))
            .map_err(|e| format!("copying {}: {e}", built.display()))?;
    }
    let run = bundle.join("run.sh");
    fs::copy(root.join("scripts/gpu-bundle-run.sh"), &run)?;
    fs::copy(root.join("scripts/gpu-bundle-attention.py"), bundle.join("attention.py"))?;
    if bytes > MAX_BYTES {
        return Err(format!("the bundle has {bytes} bytes, more than {MAX_BYTES}").into());
    }
    println!("{} ({:.1} MiB): run {}", bundle.display(), bytes as f64 / 1048576.0, run.display());
    Ok(())
}

fn target_dir(root: &Path) -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}
