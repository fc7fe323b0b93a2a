//! Kernelsmith IR to AMD code objects.
//!
//! A prepared kernel becomes LLVM IR text ([`lower`]), an object through the Rust toolchain's LLVM,
//! and a code object through its linker. What the code object says of itself (registers, spills,
//! shared memory) is read back from its metadata note ([`metadata`]).
#![deny(missing_docs)]

pub mod error;
pub mod lower;
pub mod metadata;

use kernelsmith_ir::target::Gfx;
use kernelsmith_ir::{Kernel, Target};
use kernelsmith_llvm::emit::Lines;
use kernelsmith_llvm::machine::Effort;
use kernelsmith_llvm::{Machine, MachineOptions, Output, lld};

pub use error::Error;
pub use metadata::Metadata;

/// A kernel as a HIP module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CodeObject {
    /// The shared object for `hipModuleLoadData`.
    pub bytes: Vec<u8>,
    /// What it says of itself.
    pub metadata: Metadata,
}

/// The pass pipeline: the backend's own control-flow structurisation wants clean SSA, and address
/// spaces are known already.
const PASSES: &str = "default<O2>";

/// Compiles a prepared kernel.
///
/// # Errors
/// If the architecture lacks an operation, no LLVM is found, or code generation fails.
pub fn compile(kernel: &Kernel, gfx: Gfx) -> Result<CodeObject, Error> {
    let object =
        machine(gfx)?.compile(lower::lower(kernel, gfx, Lines::Tables)?, PASSES, Output::Object)?;
    let bytes = lld::link_shared(&object)?;
    let metadata = Metadata::read(&bytes, &kernel.name)?;
    Ok(CodeObject { bytes, metadata })
}

/// The LLVM IR of a prepared kernel, before LLVM's passes.
///
/// # Errors
/// If the architecture lacks an operation.
pub fn llvm_ir(kernel: &Kernel, gfx: Gfx) -> Result<String, Error> {
    lower::lower(kernel, gfx, Lines::None)
}

/// The assembly of a prepared kernel.
///
/// # Errors
/// As for [`compile`].
pub fn assembly(kernel: &Kernel, gfx: Gfx) -> Result<String, Error> {
    let text = machine(gfx)?.compile(
        lower::lower(kernel, gfx, Lines::Directives)?,
        PASSES,
        Output::Assembly,
    )?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn machine(gfx: Gfx) -> Result<Machine, Error> {
    Ok(Machine::new(MachineOptions {
        triple: "amdgcn-amd-amdhsa".to_owned(),
        cpu: gfx.name().to_owned(),
        features: String::new(),
        effort: Effort::Aggressive,
    })?)
}

/// The target in errors.
fn target(gfx: Gfx) -> Target {
    Target::Amdgcn(gfx)
}
