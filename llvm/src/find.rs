//! Where the LLVM library and `rust-lld` are.
//!
//! The order is: the file named by [`OVERRIDE`] and then nothing else; the Rust toolchain's; a
//! system LLVM of version [`OLDEST`] or newer. Places are looked at one by one and only until one
//! works, because asking `rustc` for its sysroot takes longer than opening the library and
//! compiling a kernel together.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::iter;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The environment variable that names a file to use as the LLVM library. Unset or empty, the
/// library is searched for.
pub const OVERRIDE: &str = "KERNELSMITH_LLVM";

/// The oldest system LLVM that works: the first whose textual IR has what the backends write.
pub const OLDEST: u32 = 18;

/// The newest major version whose name the system's loader is asked for.
const NEWEST: u32 = 24;

/// The linker script that rustup puts beside the library has a similar name and 42 bytes.
const SMALLEST_LIBRARY: u64 = 1 << 20;

/// A place to look for the library.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// What it is, for error messages.
    pub name: String,
    /// The candidates found there, best first: paths, or names for the system's loader.
    pub files: Vec<PathBuf>,
}

/// The places to look for the library, best first, each found out only when asked for.
pub fn places() -> Box<dyn Iterator<Item = Place>> {
    if let Some(path) = env::var_os(OVERRIDE).filter(|p| !p.is_empty()) {
        let name = format!("{OVERRIDE}={}", path.display());
        return Box::new(iter::once(Place { name, files: vec![path.into()] }));
    }
    let mut sysroots = sysroots().peekable();
    let none = sysroots.peek().is_none().then(|| Place {
        name: "Rust toolchains, rustup's or of a rustc on the PATH".into(),
        files: Vec::new(),
    });
    let toolchains = sysroots.map(|sysroot| Place {
        name: format!("Rust toolchain {}", sysroot.display()),
        files: libraries_in(&sysroot.join("lib"), is_toolchain_library),
    });
    Box::new(
        none.into_iter()
            .chain(toolchains)
            .chain(iter::once_with(system_libraries))
            .chain(iter::once_with(loader_names)),
    )
}

/// The sysroots of Rust toolchains, cheapest to find first. Any will do: its library has the C API
/// and its linker links, whichever toolchain built this program.
pub fn sysroots() -> impl Iterator<Item = PathBuf> {
    let cheap = iter::once_with(active_toolchain).chain(iter::once_with(default_toolchain));
    let asked = iter::once_with(|| ask_rustc("rustc".as_ref()))
        .chain(iter::once_with(|| ask_rustc(&cargo_home()?.join("bin/rustc"))));
    let rest = iter::once_with(installed_toolchains).flatten().map(Some);
    let mut seen = BTreeSet::new();
    cheap
        .chain(asked)
        .chain(rest)
        .flatten()
        .filter(move |path| path.is_dir() && seen.insert(path.clone()))
}

fn home(variable: &str, folder: &str) -> Option<PathBuf> {
    match env::var_os(variable).filter(|v| !v.is_empty()) {
        Some(path) => Some(path.into()),
        None => Some(env::home_dir()?.join(folder)),
    }
}

fn cargo_home() -> Option<PathBuf> {
    home("CARGO_HOME", ".cargo")
}

fn toolchains_folder() -> Option<PathBuf> {
    Some(home("RUSTUP_HOME", ".rustup")?.join("toolchains"))
}

/// Under `cargo run` and `cargo test`, rustup says which toolchain it chose.
fn active_toolchain() -> Option<PathBuf> {
    Some(toolchains_folder()?.join(env::var_os("RUSTUP_TOOLCHAIN")?))
}

/// The toolchain rustup uses where nothing else is chosen.
fn default_toolchain() -> Option<PathBuf> {
    let folder = toolchains_folder()?;
    let settings = fs::read_to_string(folder.parent()?.join("settings.toml")).ok()?;
    Some(folder.join(default_toolchain_name(&settings)?))
}

fn default_toolchain_name(settings: &str) -> Option<&str> {
    let value = settings.lines().find_map(|l| l.trim().strip_prefix("default_toolchain"))?;
    value.trim_start().strip_prefix('=')?.trim().strip_prefix('"')?.strip_suffix('"')
}

fn ask_rustc(rustc: &Path) -> Option<PathBuf> {
    let output = Command::new(rustc).args(["--print", "sysroot"]).output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| path.trim().into())
}

fn installed_toolchains() -> Vec<PathBuf> {
    let mut found: Vec<_> = toolchains_folder().map(|f| entries(&f)).unwrap_or_default();
    found.sort();
    found.reverse();
    found
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect()
}

fn is_toolchain_library(name: &str) -> bool {
    name == "libLLVM.dylib" || (name.starts_with("libLLVM") && name.contains("-rust-"))
}

/// The version in a system library's name: `libLLVM.so.19.1`, `libLLVM-18.so.1`, `libLLVM-20.so`.
fn version_of(name: &str) -> Option<u32> {
    let rest = name.strip_prefix("libLLVM")?;
    let digits = rest.strip_prefix("-").or_else(|| rest.strip_prefix(".so."))?;
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok()
}

/// The files of a folder that the name's test accepts and that are large enough.
fn libraries_in(folder: &Path, accept: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let large = |p: &PathBuf| fs::metadata(p).is_ok_and(|m| m.len() >= SMALLEST_LIBRARY);
    let named = |p: &PathBuf| p.file_name().and_then(|n| n.to_str()).is_some_and(&accept);
    let mut files: Vec<_> = entries(folder).into_iter().filter(named).filter(large).collect();
    files.sort();
    files
}

/// Folders where Linux distributions, Homebrew and ROCm put LLVM.
fn system_folders() -> Vec<PathBuf> {
    let arch = env::consts::ARCH;
    let mut folders: Vec<PathBuf> = [
        format!("/usr/lib/{arch}-linux-gnu"),
        "/usr/lib64".into(),
        "/usr/lib".into(),
        "/usr/local/lib".into(),
        "/opt/homebrew/opt/llvm/lib".into(),
        "/usr/local/opt/llvm/lib".into(),
        "/opt/rocm/lib/llvm/lib".into(),
        "/opt/rocm/llvm/lib".into(),
    ]
    .map(PathBuf::from)
    .into();
    for parent in ["/usr/lib", "/usr/lib64"] {
        let versioned = entries(parent.as_ref())
            .into_iter()
            .filter(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("llvm")));
        folders.extend(versioned.map(|p| p.join("lib")));
    }
    folders
}

fn system_libraries() -> Place {
    let accept = |name: &str| {
        name == "libLLVM.dylib" || version_of(name).is_some_and(|version| version >= OLDEST)
    };
    let found = system_folders().into_iter().flat_map(|folder| libraries_in(&folder, accept));
    // Links of several names lead to one file: open each once, the newest first.
    let mut files: Vec<(u32, PathBuf)> = found
        .filter_map(|path| {
            let file = path.canonicalize().ok()?;
            let name = path.file_name()?.to_str()?.to_owned();
            Some((version_of(&name).unwrap_or(OLDEST), file))
        })
        .collect();
    files.sort_by(|a, b| b.cmp(a));
    files.dedup();
    Place {
        name: format!("system folders, for a libLLVM of version {OLDEST} or newer"),
        files: files.into_iter().map(|(_, file)| file).collect(),
    }
}

/// What the loader may know from its cache or `LD_LIBRARY_PATH`. LLVM added a minor version to its
/// file name in release 18.
fn loader_names() -> Place {
    let names =
        |v| [format!("libLLVM.so.{v}.1"), format!("libLLVM-{v}.so"), format!("libLLVM.so.{v}")];
    Place {
        name: "the loader's search path".into(),
        files: (OLDEST..=NEWEST).rev().flat_map(names).map(PathBuf::from).collect(),
    }
}

/// Linkers that may exist, best first: each toolchain's `rust-lld`, then an `ld.lld` of the system.
pub fn linkers() -> impl Iterator<Item = PathBuf> {
    let rust = sysroots().flat_map(|sysroot| {
        let hosts = entries(&sysroot.join("lib/rustlib"));
        hosts.into_iter().map(|host| host.join("bin/rust-lld"))
    });
    rust.chain(iter::once_with(system_linkers).flatten()).filter(|path| path.is_file())
}

fn system_linkers() -> Vec<PathBuf> {
    let path: OsString = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&path).collect();
    for version in (OLDEST..=NEWEST).rev() {
        folders.push(format!("/usr/lib/llvm-{version}/bin").into());
    }
    folders.push("/opt/rocm/llvm/bin".into());
    folders.into_iter().map(|folder| folder.join("ld.lld")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_the_names_distributions_use() {
        for (name, version) in [
            ("libLLVM.so.19.1", Some(19)),
            ("libLLVM-18.so.1", Some(18)),
            ("libLLVM-20.so", Some(20)),
            ("libLLVM-22-rust-1.95.0-stable.so", Some(22)),
            ("libLLVM.so", None),
            ("libLLVMCore.so.19", None),
            ("libLLVM-C.so", None),
        ] {
            assert_eq!(version_of(name), version, "{name}");
        }
    }

    #[test]
    fn the_toolchains_library_is_not_its_linker_script() {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("libLLVM.so.22.1-rust-1.95.0-stable");
        fs::File::create(&library).unwrap().set_len(SMALLEST_LIBRARY).unwrap();
        let script = "INPUT(libLLVM.so.22.1-rust-1.95.0-stable)";
        fs::write(folder.path().join("libLLVM-22-rust-1.95.0-stable.so"), script).unwrap();
        fs::write(folder.path().join("librustc_driver-1.so"), script).unwrap();
        assert_eq!(libraries_in(folder.path(), is_toolchain_library), [library]);
    }

    #[test]
    fn rustups_default_is_read_from_its_settings() {
        let settings = "version = \"12\"\ndefault_toolchain = \"stable-x86_64\"\n[overrides]\n";
        assert_eq!(default_toolchain_name(settings), Some("stable-x86_64"));
        assert_eq!(default_toolchain_name("version = \"12\"\n"), None);
    }

    #[test]
    fn sysroots_include_rustcs_own() {
        let rustc = ask_rustc("rustc".as_ref()).expect("tests are built by a rustc on the path");
        assert!(sysroots().any(|s| s == rustc), "{rustc:?}");
    }
}
