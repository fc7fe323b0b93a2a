//! Opens the LLVM of the Rust toolchain at run time.
