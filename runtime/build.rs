//! Gives compiled kernels in the disk cache an identity that changes with the compiler.
//!
//! A release of the compiler crates is known by its version. In a checkout the version stays while
//! the code changes, so there the sources are hashed as well.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// The crates whose code decides what a kernel compiles to, beside this one.
const COMPILER: [&str; 5] = ["kernel-ir", "llvm", "codegen-cpu", "codegen-ptx", "codegen-amdgcn"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let mut files = Vec::new();
    for crate_dir in COMPILER {
        let sources = here.join("..").join(crate_dir).join("src");
        if sources.is_dir() {
            println!("cargo:rerun-if-changed={}", sources.display());
            collect(&sources, &mut files);
        }
    }
    files.sort();
    // FNV-1a: nobody attacks this, and a build script should depend on nothing.
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in files.iter().flat_map(|file| fs::read(file).unwrap_or_default()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    println!("cargo:rustc-env=KERNELSMITH_COMPILER_SOURCES={hash:016x}");
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}
