//! What can go wrong with LLVM.

use std::path::PathBuf;

/// An error of this crate.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No usable LLVM library was found.
    #[error(
        "no LLVM library found. Kernelsmith uses the one of the Rust toolchain (rustup installs \
         it), or a system LLVM of version 18 or newer (libLLVM.so), or the file named by \
         KERNELSMITH_LLVM. Tried:\n{}", .tried.iter().map(|t| format!("  {t}")).collect::<Vec<_>>().join("\n")
    )]
    NotFound {
        /// Each candidate and why it was not used.
        tried: Vec<String>,
    },
    /// The linker for code objects was not found.
    #[error(
        "no lld found. Kernelsmith links AMD code objects with the Rust toolchain's rust-lld or a \
         system ld.lld. Tried: {}", .tried.iter().map(|t| t.display().to_string()).collect::<Vec<_>>().join(", ")
    )]
    NoLinker {
        /// The paths tried.
        tried: Vec<PathBuf>,
    },
    /// The linker failed.
    #[error("{linker} failed: {message}")]
    Link {
        /// The linker's path.
        linker: PathBuf,
        /// What it printed.
        message: String,
    },
    /// IR text that LLVM does not accept. Always a bug in a code generator.
    #[error("LLVM rejected the generated IR: {0}")]
    InvalidIr(String),
    /// LLVM does not know the target, or was built without it.
    #[error("LLVM has no target `{triple}`: {message}")]
    NoTarget {
        /// The triple.
        triple: String,
        /// LLVM's words.
        message: String,
    },
    /// LLVM gave up in a way that would have ended the process.
    #[error("LLVM could not generate code: {0}")]
    Fatal(String),
    /// Any other error LLVM reports.
    #[error("LLVM: {0}")]
    Other(String),
}
