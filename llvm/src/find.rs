//! Where the LLVM library and `rust-lld` are.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::{env, fs};

/// Names a file to use as the LLVM library, before any other.
pub const OVERRIDE: &str = "KERNELSMITH_LLVM";

/// The oldest system LLVM that works: the first whose textual IR has what the backends write.
pub const OLDEST: u32 = 18;

/// The sysroot of the Rust toolchain, if there is one.
pub fn sysroot() -> Option<&'static Path> {
    static SYSROOT: OnceLock<Option<PathBuf>> = OnceLock::new();
    SYSROOT.get_or_init(|| rustc_sysroot().or_else(default_toolchain)).as_deref()
}

fn rustc_sysroot() -> Option<PathBuf> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).args(["--print", "sysroot"]).output().ok()?;
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    (output.status.success() && path.is_dir()).then_some(path)
}

/// Without rustc on the path: some toolchain in rustup's home.
fn default_toolchain() -> Option<PathBuf> {
    let home = env::var_os("RUSTUP_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".rustup")))?;
    let mut toolchains: Vec<PathBuf> =
        fs::read_dir(home.join("toolchains")).ok()?.flatten().map(|e| e.path()).collect();
    toolchains.sort();
    toolchains.into_iter().rev().find(|t| toolchain_library(t).is_some())
}

/// The library of a toolchain: `lib/libLLVM.so.*-rust-*`. The file `libLLVM-*-rust-*.so` beside it
/// is a linker script of a few bytes.
fn toolchain_library(sysroot: &Path) -> Option<PathBuf> {
    let matches = |name: &str| {
        (name.starts_with("libLLVM.so.") && name.contains("-rust-")) || name == "libLLVM.dylib"
    };
    fs::read_dir(sysroot.join("lib"))
        .ok()?
        .flatten()
        .find(|e| e.file_name().to_str().is_some_and(matches))
        .map(|e| e.path())
}

/// A place to look for the library.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// A path, or a name for the system's loader.
    pub path: PathBuf,
    /// Whether the user named it: then nothing else is tried.
    pub forced: bool,
}

/// The candidates, best first.
pub fn candidates() -> Vec<Candidate> {
    if let Some(path) = env::var_os(OVERRIDE).filter(|p| !p.is_empty()) {
        return vec![Candidate { path: path.into(), forced: true }];
    }
    let mut paths: Vec<PathBuf> = sysroot().and_then(toolchain_library).into_iter().collect();
    for major in (OLDEST..=23).rev() {
        // Debian's and Fedora's names for the one library; LLVM gave it a minor version at 18.
        for name in [
            format!("libLLVM.so.{major}.1"),
            format!("libLLVM-{major}.so.1"),
            format!("libLLVM-{major}.so"),
        ] {
            paths.push(name.into());
            paths.push(format!("/usr/lib/llvm-{major}/lib/libLLVM.so.1").into());
        }
    }
    paths.dedup();
    paths.into_iter().map(|path| Candidate { path, forced: false }).collect()
}

/// Where `rust-lld` or another lld may be, best first.
pub fn linkers() -> Vec<PathBuf> {
    let mut paths = Vec::new();
    if let Some(sysroot) = sysroot() {
        let hosts = fs::read_dir(sysroot.join("lib/rustlib")).into_iter().flatten().flatten();
        let mut lld: Vec<PathBuf> = hosts.map(|h| h.path().join("bin/rust-lld")).collect();
        lld.retain(|p| p.is_file());
        paths.append(&mut lld);
    }
    let system = env::var_os("PATH").unwrap_or_default();
    paths.extend(env::split_paths(&system).map(|p| p.join("ld.lld")).filter(|p| p.is_file()));
    paths.extend(
        (OLDEST..=23)
            .rev()
            .map(|v| PathBuf::from(format!("/usr/lib/llvm-{v}/bin/ld.lld")))
            .filter(|p| p.is_file()),
    );
    paths
}
