//! Code for any target, with or without its device: what `kernelsmith emit` prints.
//!
//! This module and its children are the one place that knows the code generators.

mod load;
mod tools;

use std::fmt::Display;

use kernelsmith_codegen_amdgcn as amdgcn;
use kernelsmith_codegen_cpu as cpu;
use kernelsmith_codegen_ptx as ptx;
use kernelsmith_ir::passes::prepare;
use kernelsmith_ir::target::{Gfx, Ptx};
use kernelsmith_ir::{Kernel, Target, legal, verify};

use crate::error::{Error, Result};

pub(crate) use load::{compiler, load};
pub use tools::{linker, llvm, ptxas};

/// Whether the CPU has an instruction for `dot2`, and may use it.
pub(crate) fn cpu_has_dot2() -> bool {
    cpu::Isa::from_env().is_ok_and(cpu::Isa::has_dot2)
}

/// A stop on the way from a kernel to machine code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Stage {
    /// The IR as the front end made it.
    Staged,
    /// The IR as code generators take it, after all passes.
    Ir,
    /// LLVM IR, before LLVM's passes; not for PTX, which is written without LLVM.
    Llvm,
    /// The target's assembly: PTX, AMDGCN or the CPU's.
    Asm,
    /// NVIDIA's machine code, which `ptxas` makes of PTX; elsewhere the assembly is that.
    Sass,
}

/// The block size of code to look at, where nobody says another.
const WARP: Option<[u32; 3]> = Some([32, 1, 1]);

/// What a kernel's code takes of its target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resources {
    /// Bytes of the object: a cubin, a code object or an object file.
    pub code_bytes: usize,
    /// Registers of a thread (NVIDIA) or vector registers of a lane (AMD), where that is known.
    pub registers: Option<u32>,
    /// Registers that had no place and went to memory, where that is known.
    pub spills: Option<u32>,
    /// Bytes of static shared memory of a block.
    pub shared_bytes: u32,
    /// Checks that could not be proven, and run.
    pub checks: usize,
    /// Why something is not known.
    pub note: Option<String>,
}

/// The text of a kernel at a stage. Code for the CPU is made for one block size: the kernel's, else
/// `block`, else one warp.
///
/// # Errors
/// The kernel breaks a rule of the IR or of the target; the target has no such stage.
pub fn emit(
    kernel: &Kernel,
    block: Option<[u32; 3]>,
    target: &Target,
    stage: Stage,
) -> Result<String> {
    if stage == Stage::Staged {
        return Ok(kernel.to_string());
    }
    let kernel = &prepared(kernel, block.or(WARP), target)?;
    match (stage, target) {
        (Stage::Staged | Stage::Ir, _) => Ok(kernel.to_string()),
        (Stage::Llvm, Target::Ptx(_)) => {
            Err(Error::invalid("stage", "llvm", "PTX is written without LLVM: ask for ir or asm"))
        }
        (Stage::Asm, Target::Ptx(ptx)) => Ok(ptx_module(kernel, *ptx)?.text),
        (Stage::Sass, Target::Ptx(ptx)) => sass(kernel, *ptx),
        (Stage::Sass, _) => Err(Error::invalid(
            "stage",
            "sass",
            format!("{target} is no NVIDIA target: its machine code is the stage asm"),
        )),
        (Stage::Llvm, Target::Amdgcn(gfx)) => {
            amdgcn::llvm_ir(kernel, *gfx).map_err(failed(kernel, target))
        }
        (Stage::Asm, Target::Amdgcn(gfx)) => {
            amdgcn::assembly(kernel, *gfx).map_err(failed(kernel, target))
        }
        (Stage::Llvm, Target::Cpu) => {
            let isa = cpu::Isa::from_env().map_err(failed(kernel, target))?;
            cpu::compile::llvm_ir(kernel, cpu_block(kernel), isa).map_err(failed(kernel, target))
        }
        (Stage::Asm, Target::Cpu) => {
            let isa = cpu::Isa::from_env().map_err(failed(kernel, target))?;
            cpu::compile::assembly(kernel, cpu_block(kernel), isa).map_err(failed(kernel, target))
        }
    }
}

fn sass(kernel: &Kernel, target: Ptx) -> Result<String> {
    let module = ptx_module(kernel, target)?;
    let target = Target::Ptx(target);
    let ptxas = ptx::ptxas::Ptxas::find().map_err(failed(kernel, &target))?;
    let nvdisasm = ptx::ptxas::Nvdisasm::find().map_err(failed(kernel, &target))?;
    let made = ptxas.assemble(&module).map_err(failed(kernel, &target))?;
    let listing = nvdisasm.disassemble(&made).map_err(failed(kernel, &target))?;
    Ok(listing.text().to_owned())
}

/// Compiles a kernel and says what it takes, with blocks as for [`emit`]. For NVIDIA that needs
/// `ptxas`; where it is not installed, the note says how to get it.
///
/// # Errors
/// The kernel breaks a rule of the IR or of the target; `ptxas` refuses the code.
pub fn resources(kernel: &Kernel, block: Option<[u32; 3]>, target: &Target) -> Result<Resources> {
    let kernel = &prepared(kernel, block.or(WARP), target)?;
    match target {
        Target::Ptx(ptx) => ptx_resources(kernel, *ptx),
        Target::Amdgcn(gfx) => amdgcn_resources(kernel, *gfx),
        Target::Cpu => cpu_resources(kernel),
    }
}

fn ptx_resources(kernel: &Kernel, target: Ptx) -> Result<Resources> {
    let module = ptx_module(kernel, target)?;
    let shared_bytes = module.static_shared + module.hidden_dynamic_shared;
    let checks = kernel.checks().len();
    let known = |code_bytes, registers, spills, note| Resources {
        code_bytes,
        registers,
        spills,
        shared_bytes,
        checks,
        note,
    };
    let ptxas = match ptx::ptxas::Ptxas::find() {
        Ok(ptxas) => ptxas,
        Err(missing) => {
            let note = format!("code is PTX text, and registers are not known: {missing}");
            return Ok(known(module.text.len(), None, None, Some(note)));
        }
    };
    let made = ptxas.assemble(&module).map_err(failed(kernel, &Target::Ptx(target)))?;
    // `ptxas` counts bytes; a register has four.
    let spills = made.usage.spill_stores / 4;
    let losses = (!made.losses.is_empty()).then(|| made.losses.join("; "));
    Ok(known(made.cubin.len(), Some(made.usage.registers), Some(spills), losses))
}

fn amdgcn_resources(kernel: &Kernel, gfx: Gfx) -> Result<Resources> {
    let code = amdgcn::compile(kernel, gfx).map_err(failed(kernel, &Target::Amdgcn(gfx)))?;
    let metadata = code.metadata;
    Ok(Resources {
        code_bytes: code.bytes.len(),
        registers: Some(metadata.vgprs),
        // Scalar registers spill into lanes of vector registers, not to memory.
        spills: Some(metadata.vgpr_spills),
        shared_bytes: metadata.lds_bytes,
        checks: kernel.checks().len(),
        note: None,
    })
}

fn cpu_resources(kernel: &Kernel) -> Result<Resources> {
    let isa = cpu::Isa::from_env().map_err(failed(kernel, &Target::Cpu))?;
    let object = cpu::compile(kernel, cpu_block(kernel), isa);
    let object = object.map_err(failed(kernel, &Target::Cpu))?;
    Ok(Resources {
        code_bytes: object.bytes.len(),
        registers: None,
        spills: None,
        shared_bytes: object.shared_bytes,
        checks: kernel.checks().len(),
        note: Some("an object file for the CPU does not tell its registers".to_owned()),
    })
}

/// The kernel as the backends take it. On the CPU it is made for one block size, which proves
/// checks and folds ids; on GPUs only a size that the kernel fixes may be relied on.
pub(crate) fn prepared(
    kernel: &Kernel,
    block: Option<[u32; 3]>,
    target: &Target,
) -> Result<Kernel> {
    let mut kernel = kernel.clone();
    if *target == Target::Cpu {
        kernel.block_dim = Some(kernel.block_dim.or(block).ok_or_else(|| {
            let rule = "code for the CPU is made for one block size, and the kernel fixes none";
            Error::invalid("block", "not set", rule)
        })?);
    }
    prepare(&kernel, target).map_err(failed(&kernel, target))
}

/// Checks that a kernel keeps the rules of the IR and that a target has what it uses.
pub(crate) fn checked(kernel: &Kernel, target: &Target) -> Result<()> {
    verify(kernel).map_err(failed(kernel, target))?;
    legal::check(kernel, target).map_err(failed(kernel, target))
}

/// The block size that [`prepared`] gave a kernel for the CPU.
fn cpu_block(kernel: &Kernel) -> [u32; 3] {
    kernel.block_dim.unwrap_or([1; 3])
}

fn ptx_module(kernel: &Kernel, target: Ptx) -> Result<ptx::PtxModule> {
    ptx::compile(kernel, target).map_err(failed(kernel, &Target::Ptx(target)))
}

/// An error of a code generator as one of ours.
fn failed<E: Display>(kernel: &Kernel, target: &Target) -> impl FnOnce(E) -> Error {
    let (kernel, target) = (kernel.name.clone(), target.to_string());
    move |error| Error::Compile { kernel, target, message: error.to_string() }
}
