//! Generated code to look at, for any target, whether its device is here or not.

use kernelsmith_codegen_amdgcn as amdgcn;
use kernelsmith_codegen_cpu as cpu;
use kernelsmith_codegen_ptx as ptx;
use kernelsmith_ir::{Kernel, Target};

use crate::error::{Error, Result};
use crate::generate::{failed, prepared};

/// What of a kernel to show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// The IR as the front end made it.
    Staged,
    /// The IR as the code generator gets it.
    Ir,
    /// LLVM IR, before LLVM's passes. PTX is written without LLVM.
    Llvm,
    /// PTX, AMD assembly, or the CPU's assembly.
    Asm,
}

/// A kernel as text at a stage. `block` is the block size, where the kernel does not fix it: code
/// for the CPU is made for one.
///
/// # Errors
/// The kernel is not legal for the target, the target has no such stage, or code generation fails.
pub fn emit(
    kernel: &Kernel,
    block: Option<[u32; 3]>,
    target: &Target,
    stage: Stage,
) -> Result<String> {
    let error = |e: &dyn std::fmt::Display| failed::<String>(kernel, target)(e.to_string());
    if stage == Stage::Staged {
        return Ok(kernel.to_string());
    }
    let kernel = prepared(kernel, block.or(default_block(target)), target)?;
    match (stage, target) {
        (Stage::Staged | Stage::Ir, _) => Ok(kernel.to_string()),
        (Stage::Llvm, Target::Ptx(_)) => {
            Err(Error::invalid("stage", "llvm", "PTX is written without LLVM: ask for asm"))
        }
        (Stage::Asm, Target::Ptx(arch)) => {
            Ok(ptx::compile(&kernel, *arch).map_err(|e| error(&e))?.text)
        }
        (Stage::Llvm, Target::Amdgcn(gfx)) => amdgcn::llvm_ir(&kernel, *gfx).map_err(|e| error(&e)),
        (Stage::Asm, Target::Amdgcn(gfx)) => amdgcn::assembly(&kernel, *gfx).map_err(|e| error(&e)),
        (Stage::Llvm, Target::Cpu) => {
            cpu::compile::llvm_ir(&kernel, cpu_block(&kernel)).map_err(|e| error(&e))
        }
        (Stage::Asm, Target::Cpu) => {
            let isa = cpu::Isa::from_env().map_err(|e| error(&e))?;
            cpu::compile::assembly(&kernel, cpu_block(&kernel), isa).map_err(|e| error(&e))
        }
    }
}

/// One warp, where nobody says otherwise.
fn default_block(target: &Target) -> Option<[u32; 3]> {
    (*target == Target::Cpu).then_some([32, 1, 1])
}

fn cpu_block(kernel: &Kernel) -> [u32; 3] {
    kernel.block_dim.unwrap_or([32, 1, 1])
}

/// What a compiled kernel takes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resources {
    /// Bytes of code: the PTX text, the code object, the object file.
    pub code_bytes: usize,
    /// Registers of a thread, where they are known.
    pub registers: Option<u32>,
    /// Registers spilled to memory, in bytes or registers as the target counts them.
    pub spills: Option<u32>,
    /// Bytes of static shared memory.
    pub shared_bytes: u32,
    /// Checks left in the kernel.
    pub checks: usize,
    /// Why registers are not known.
    pub note: Option<String>,
}

/// Compiles a kernel and tells what it takes.
///
/// # Errors
/// As for [`emit`].
pub fn resources(kernel: &Kernel, block: Option<[u32; 3]>, target: &Target) -> Result<Resources> {
    let error = |e: &dyn std::fmt::Display| failed::<String>(kernel, target)(e.to_string());
    let kernel = prepared(kernel, block.or(default_block(target)), target)?;
    let mut resources = Resources {
        code_bytes: 0,
        registers: None,
        spills: None,
        shared_bytes: kernel.shared_layout().1,
        checks: kernel.checks().len(),
        note: None,
    };
    match target {
        Target::Cpu => {
            let isa = cpu::Isa::from_env().map_err(|e| error(&e))?;
            let object = cpu::compile(&kernel, cpu_block(&kernel), isa).map_err(|e| error(&e))?;
            resources.code_bytes = object.bytes.len();
        }
        Target::Amdgcn(gfx) => {
            let code = amdgcn::compile(&kernel, *gfx).map_err(|e| error(&e))?;
            resources.code_bytes = code.bytes.len();
            resources.registers = Some(code.metadata.vgprs);
            resources.spills = Some(code.metadata.vgpr_spills);
            resources.shared_bytes = code.metadata.lds_bytes;
        }
        Target::Ptx(arch) => {
            ptx_resources(&kernel, *arch, &mut resources).map_err(|e| error(&e))?
        }
    }
    Ok(resources)
}

/// With `ptxas` the driver's view; without it the text alone.
fn ptx_resources(
    kernel: &Kernel,
    arch: kernelsmith_ir::target::Ptx,
    resources: &mut Resources,
) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let module = ptx::compile(kernel, arch)?;
    resources.code_bytes = module.text.len();
    match ptx::ptxas::Ptxas::find() {
        Ok(assembler) => {
            let usage = assembler.assemble(&module)?.usage;
            resources.registers = Some(usage.registers);
            resources.spills = Some(usage.spill_stores + usage.spill_loads);
        }
        Err(missing) => resources.note = Some(missing.to_string()),
    }
    Ok(())
}

/// The LLVM in use: its version and where it is.
///
/// # Errors
/// Why there is none.
pub fn llvm() -> std::result::Result<String, String> {
    let ((major, minor, patch), path) = kernelsmith_llvm::version().map_err(|e| e.to_string())?;
    Ok(format!("{major}.{minor}.{patch} at {}", path.display()))
}

/// The linker of AMD code objects.
///
/// # Errors
/// Why there is none.
pub fn linker() -> std::result::Result<String, String> {
    kernelsmith_llvm::lld::linker().map(|p| p.display().to_string()).map_err(|e| e.to_string())
}

/// NVIDIA's assembler, which only tells registers here: the driver has its own.
///
/// # Errors
/// Why there is none.
pub fn ptxas() -> std::result::Result<String, String> {
    let found = ptx::ptxas::Ptxas::find().map_err(|e| e.to_string())?;
    let release = found.release().map_err(|e| e.to_string())?;
    Ok(format!("{release} at {}", found.path().display()))
}
