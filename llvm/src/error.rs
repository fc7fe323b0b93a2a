//! What can go wrong with LLVM.

use std::path::PathBuf;

/// An error of this crate.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No usable LLVM library was found.
    #[error(
        "no usable LLVM library. Kernelsmith takes the one of a Rust toolchain (install one with \
         rustup), or a system libLLVM of version 18 or newer (for example Debian's libllvm19), or \
         the file named by the environment variable KERNELSMITH_LLVM. Tried:\n  {}",
        .tried.join("\n  ")
    )]
    NotFound {
        /// Each place or file and why it was of no use.
        tried: Vec<String>,
    },
    /// The linker for code objects was not found.
    #[error(
        "no lld found. Kernelsmith links AMD code objects with a Rust toolchain's rust-lld \
         (lib/rustlib/<host>/bin in its sysroot) or an ld.lld of LLVM 18 or newer on the PATH"
    )]
    NoLinker,
    /// The linker failed.
    #[error("{} failed: {message}", .linker.display())]
    Link {
        /// The linker's path.
        linker: PathBuf,
        /// What it printed.
        message: String,
    },
    /// IR text that LLVM does not accept: a bug in a code generator.
    #[error("LLVM rejected the generated IR: {0}")]
    InvalidIr(String),
    /// A pass pipeline that LLVM does not know.
    #[error("LLVM rejected the pass pipeline `{pipeline}`: {message}")]
    Passes {
        /// The pipeline.
        pipeline: String,
        /// LLVM's words.
        message: String,
    },
    /// LLVM does not know the target, or was built without it.
    #[error("LLVM has no target `{triple}`: {message}")]
    NoTarget {
        /// The triple.
        triple: String,
        /// LLVM's words.
        message: String,
    },
    /// LLVM cannot generate code for valid IR: the chip lacks an intrinsic, for example, or a
    /// function needs more of something than there is. Includes the errors by which LLVM would
    /// have ended the process.
    #[error("LLVM could not generate code: {0}")]
    Codegen(String),
    /// Machine code could not be loaded into this process.
    #[error("could not load the machine code: {0}")]
    Load(String),
    /// A file that should hold machine code for the target does not.
    #[error("not a usable object file: {0}")]
    Object(String),
    /// A text with a NUL byte where LLVM takes C strings.
    #[error("a NUL byte in {0:?}")]
    Nul(String),
    /// No thread could be started for LLVM to run on.
    #[error("no thread for code generation: {0}")]
    Thread(String),
}
