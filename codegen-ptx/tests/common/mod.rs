//! What the integration tests share: the assembler, the architectures, and kernels.
#![allow(dead_code, unreachable_pub)]

pub mod kernels;

use kernelsmith_codegen_ptx::ptxas::{Assembled, Nvdisasm, Ptxas, Sass};
use kernelsmith_codegen_ptx::{PtxModule, compile};
use kernelsmith_ir::Kernel;
use kernelsmith_ir::target::Ptx;

/// An architecture.
pub const fn sm(sm: u32, specific: bool) -> Ptx {
    Ptx { sm, specific }
}

/// From the oldest to the newest there is code for.
pub const TARGETS: [Ptx; 5] =
    [sm(75, false), sm(80, false), sm(90, true), sm(100, true), sm(120, false)];

/// The assembler. Tests fail without it, with the command that installs it.
pub fn ptxas() -> Ptxas {
    Ptxas::find().unwrap_or_else(|error| panic!("{error}"))
}

/// PTX of a kernel.
pub fn ptx(kernel: &Kernel, target: Ptx) -> PtxModule {
    compile(kernel, target).unwrap_or_else(|error| panic!("{error}\n{kernel}"))
}

/// Machine code of a kernel.
pub fn assemble(kernel: &Kernel, target: Ptx) -> Assembled {
    let module = ptx(kernel, target);
    let result = ptxas().assemble(&module);
    result.unwrap_or_else(|error| panic!("{error}\n{}\n{kernel}", module.text))
}

/// Machine instructions of a kernel.
pub fn sass(kernel: &Kernel, target: Ptx) -> Sass {
    let nvdisasm = Nvdisasm::find().unwrap_or_else(|error| panic!("{error}"));
    nvdisasm.disassemble(&assemble(kernel, target)).unwrap_or_else(|error| panic!("{error}"))
}
