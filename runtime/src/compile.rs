//! Kernels as devices hold them, and the way there from IR.

use std::sync::Arc;

use kernelsmith_ir::Kernel;
use kernelsmith_ir::check::ErrorRecord;
use kernelsmith_ir::interp::Program;

use crate::codegen;
use crate::device::{Device, DeviceKind};
use crate::driver::{Driver, Handle};
use crate::error::{Error, Result};
use crate::kernel::CompiledKernel;
use crate::launch::LaunchConfig;

/// Code that a driver can launch.
pub(crate) enum Loaded {
    /// Machine code in this process.
    Cpu(Box<dyn CpuCode>),
    /// A kernel of a module.
    Module(Module),
    /// A kernel to be interpreted.
    Interpreted {
        /// What to run.
        program: Box<Program>,
        /// Lanes of a warp.
        warp_size: u32,
    },
    /// What a test says.
    #[cfg(test)]
    Late(Arc<LateKernel>),
}

/// A kernel for [`LateDriver`](crate::driver::late::LateDriver): device memory, packed arguments,
/// address of the error record.
#[cfg(test)]
pub(crate) type LateKernel = dyn Fn(&mut crate::driver::late::State, &[u8], u64) + Send + Sync;

/// A kernel as machine code of this process.
pub(crate) trait CpuCode: Send + Sync {
    /// Runs every block, and returns when the last one ended.
    ///
    /// # Safety
    /// `args` are the kernel's packed parameters, and what they point to is valid.
    unsafe fn run(
        &self,
        config: &LaunchConfig,
        args: &[u8],
        record: &mut ErrorRecord,
    ) -> Result<()>;
}

/// A module loaded by a driver, and the kernel in it.
pub(crate) struct Module {
    driver: Arc<dyn Driver>,
    module: Handle,
    function: Handle,
    hidden_shared: u32,
}

impl Module {
    /// Loads PTX text or a code object. Launches add `hidden_shared` bytes to the dynamic shared
    /// memory they are asked for.
    pub(crate) fn load(
        driver: &Arc<dyn Driver>,
        image: &[u8],
        kernel: &str,
        hidden_shared: u32,
    ) -> Result<Module> {
        let (module, function) = driver.load(image, kernel)?;
        Ok(Module { driver: driver.clone(), module, function, hidden_shared })
    }

    /// The kernel.
    pub(crate) fn function(&self) -> Handle {
        self.function
    }

    /// The dynamic shared memory of a launch.
    pub(crate) fn shared_bytes(&self, config: &LaunchConfig) -> u32 {
        config.shared_bytes + self.hidden_shared
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        // SAFETY: the only owner goes.
        unsafe { self.driver.unload(self.module) };
    }
}

impl Device {
    /// Compiles a kernel as the front end made it, and loads it here. Code for the CPU is made for
    /// one block size, which is `block` unless the kernel fixes it; for GPUs `block` only narrows
    /// what launches may ask for.
    ///
    /// # Errors
    /// The kernel breaks a rule of the IR or of the target; the block sizes contradict each other;
    /// the driver refuses the code.
    pub fn compile(&self, kernel: &Kernel, block: Option<[u32; 3]>) -> Result<CompiledKernel> {
        let block = match (kernel.block_dim, block) {
            (Some(fixed), Some(asked)) if fixed != asked => {
                let rule = format!("kernel `{}` is made for blocks of {fixed:?}", kernel.name);
                return Err(Error::invalid("block", format!("{asked:?}"), rule));
            }
            (fixed, asked) => fixed.or(asked),
        };
        if self.kind() == DeviceKind::Interpreter {
            // As the front end made it: checks that passes would remove are still in it.
            codegen::checked(kernel, self.target())?;
            let program = Box::new(Program::new(kernel));
            let loaded = Loaded::Interpreted { program, warp_size: self.target().warp_size() };
            return Ok(CompiledKernel::new(self.clone(), kernel, block, loaded));
        }
        let kernel = codegen::prepared(kernel, block, self.target())?;
        let loaded = codegen::load(self, &kernel)?;
        Ok(CompiledKernel::new(self.clone(), &kernel, block, loaded))
    }
}
