//! From IR to code: the one place that knows the code generators, and the disk cache before them.

use std::fmt::Display;
use std::sync::Arc;

use kernelsmith_codegen_amdgcn as amdgcn;
use kernelsmith_codegen_cpu as cpu;
use kernelsmith_codegen_ptx as ptx;
use kernelsmith_ir::check::ErrorRecord;
use kernelsmith_ir::passes::prepare;
use kernelsmith_ir::target::Gfx;
use kernelsmith_ir::{Kernel, Target};

use crate::cache::{Cache, Key, KeyBuilder};
use crate::compile::{CpuCode, Loaded, Module};
use crate::device::Device;
use crate::driver::Driver;
use crate::error::{Error, Result};
use crate::launch::LaunchConfig;

/// An error of a code generator as one of ours.
pub(crate) fn failed<E: Display>(kernel: &Kernel, target: &Target) -> impl FnOnce(E) -> Error {
    let (kernel, target) = (kernel.name.clone(), target.to_string());
    move |error| Error::Compile { kernel, target, message: error.to_string() }
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

/// Generates code for a prepared kernel, or takes it from the cache, and loads it.
pub(crate) fn load(device: &Device, kernel: &Kernel) -> Result<Loaded> {
    let (driver, target) = (device.driver(), device.target());
    match target {
        Target::Cpu => Ok(Loaded::Cpu(Box::new(load_cpu(kernel)?))),
        Target::Amdgcn(gfx) => load_amdgcn(driver, kernel, *gfx),
        Target::Ptx(arch) => {
            let module = ptx::compile(kernel, *arch).map_err(failed(kernel, target))?;
            let hidden = module.hidden_dynamic_shared;
            let text = module.text.as_bytes();
            Ok(Loaded::Module(Module::load(driver, text, &kernel.name, hidden)?))
        }
    }
}

fn load_amdgcn(driver: &Arc<dyn Driver>, kernel: &Kernel, gfx: Gfx) -> Result<Loaded> {
    let target = Target::Amdgcn(gfx);
    let llvm = llvm_version().map_err(failed(kernel, &target))?;
    let code = Cache::from_env().get_or_try_insert(&key(kernel, &target, &llvm), || {
        amdgcn::compile(kernel, gfx).map(|code| code.bytes).map_err(failed(kernel, &target))
    })?;
    Ok(Loaded::Module(Module::load(driver, &code, &kernel.name, 0)?))
}

/// CPU code that the runtime launches.
struct Code(cpu::CpuKernel);

fn load_cpu(kernel: &Kernel) -> Result<Code> {
    let block = kernel.block_dim.unwrap_or([1; 3]);
    let target = Target::Cpu;
    let isa = cpu::Isa::from_env().map_err(failed(kernel, &target))?;
    // What `native` means differs between machines that share a home directory.
    let host = kernelsmith_llvm::Host::detect().map_err(failed(kernel, &target))?;
    let llvm = llvm_version().map_err(failed(kernel, &target))?;
    let compiler = format!("{llvm} {isa:?} {} {} {}", host.triple, host.cpu, host.features);
    let bytes = Cache::from_env().get_or_try_insert(&key(kernel, &target, &compiler), || {
        cpu::compile(kernel, block, isa).map(|object| object.bytes).map_err(failed(kernel, &target))
    })?;
    let (_, shared_bytes) = kernel.shared_layout();
    let object = cpu::CpuObject { bytes, block, shared_bytes };
    cpu::CpuKernel::load(&object).map(Code).map_err(failed(kernel, &target))
}

impl CpuCode for Code {
    unsafe fn run(
        &self,
        config: &LaunchConfig,
        args: &[u8],
        record: &mut ErrorRecord,
    ) -> Result<()> {
        // SAFETY: the caller's promise is the same.
        unsafe { self.0.run(config.grid, args, config.shared_bytes, record) };
        Ok(())
    }
}

fn llvm_version() -> std::result::Result<String, kernelsmith_llvm::Error> {
    let ((major, minor, patch), _) = kernelsmith_llvm::version()?;
    Ok(format!("LLVM {major}.{minor}.{patch}"))
}

/// What compiled code depends on: the kernel with its lines, the target, and who compiled it.
fn key(kernel: &Kernel, target: &Target, compiler: &str) -> Key {
    KeyBuilder::new()
        .field("ir", kernel.to_string())
        .field("target", target.to_string())
        .field("compiler", compiler)
        .field("kernelsmith", env!("CARGO_PKG_VERSION"))
        .field("sources", env!("KERNELSMITH_COMPILER_SOURCES"))
        .finish()
}
