//! The programs and libraries behind the code generators, for `kernelsmith doctor`.

use kernelsmith_codegen_ptx::ptxas::Ptxas;

/// The LLVM in use: its version and where it is.
///
/// # Errors
/// Why there is none.
pub fn llvm() -> Result<String, String> {
    let ((major, minor, patch), path) = kernelsmith_llvm::version().map_err(|e| e.to_string())?;
    Ok(format!("{major}.{minor}.{patch} at {}", path.display()))
}

/// The linker of AMD code objects.
///
/// # Errors
/// Why there is none.
pub fn linker() -> Result<String, String> {
    kernelsmith_llvm::lld::linker().map(|p| p.display().to_string()).map_err(|e| e.to_string())
}

/// NVIDIA's assembler, which only tells registers here: the driver has its own.
///
/// # Errors
/// Why there is none.
pub fn ptxas() -> Result<String, String> {
    let found = Ptxas::find().map_err(|e| e.to_string())?;
    let release = found.release().map_err(|e| e.to_string())?;
    Ok(format!("{release} at {}", found.path().display()))
}
