//! From a prepared kernel to loaded code, with the disk cache before the slow code generators.

use std::sync::Arc;

use kernelsmith_codegen_amdgcn as amdgcn;
use kernelsmith_codegen_cpu as cpu;
use kernelsmith_ir::check::ErrorRecord;
use kernelsmith_ir::target::{Gfx, Ptx};
use kernelsmith_ir::{Kernel, Target};

use super::{cpu_block, failed, ptx_module};
use crate::cache::{Cache, Key, KeyBuilder};
use crate::compile::{CpuCode, Loaded, Module};
use crate::device::Device;
use crate::driver::Driver;
use crate::error::Result;
use crate::launch::LaunchConfig;

/// Generates code for a prepared kernel, or takes it from the cache, and loads it.
pub(crate) fn load(device: &Device, kernel: &Kernel) -> Result<Loaded> {
    let driver = device.driver();
    match device.target() {
        Target::Cpu => Ok(Loaded::Cpu(Box::new(load_cpu(kernel)?))),
        Target::Amdgcn(gfx) => load_amdgcn(driver, kernel, *gfx),
        Target::Ptx(ptx) => load_ptx(driver, kernel, *ptx),
    }
}

/// PTX is written in less time than a file is read, and what is slow, the driver's assembler, has
/// a cache of its own (`CUDA_CACHE_PATH`); so it does not go through ours.
fn load_ptx(driver: &Arc<dyn Driver>, kernel: &Kernel, target: Ptx) -> Result<Loaded> {
    let module = ptx_module(kernel, target)?;
    let hidden = module.hidden_dynamic_shared;
    Ok(Loaded::Module(Module::load(driver, module.text.as_bytes(), &module.entry, hidden)?))
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
    let (block, target) = (cpu_block(kernel), Target::Cpu);
    let isa = cpu::Isa::from_env().map_err(failed(kernel, &target))?;
    let compiler = host().map_err(failed(kernel, &target))?;
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

/// LLVM, and what it makes code for on this machine.
fn host() -> std::result::Result<String, String> {
    let isa = cpu::Isa::from_env().map_err(|error| error.to_string())?;
    // What `native` means differs between machines that share a home directory.
    let host = kernelsmith_llvm::Host::detect().map_err(|error| error.to_string())?;
    let llvm = llvm_version().map_err(|error| error.to_string())?;
    Ok(format!("{llvm} {isa:?} {} {} {}", host.triple, host.cpu, host.features))
}

/// Who compiles for a target: what the same kernel's code may change with.
pub(crate) fn compiler(target: &Target) -> String {
    let ours = concat!(env!("CARGO_PKG_VERSION"), " ", env!("KERNELSMITH_COMPILER_SOURCES"));
    let theirs = match target {
        Target::Cpu => host(),
        Target::Amdgcn(_) => llvm_version().map_err(|error| error.to_string()),
        Target::Ptx(_) => Ok(String::new()),
    };
    // Without LLVM nothing is compiled, and this is compared with nothing.
    format!("{ours} {}", theirs.unwrap_or_else(|error| error))
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
