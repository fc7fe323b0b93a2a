//! What comes out: the text, and what a launch must know of it.

use kernelsmith_ir::target::Ptx;

use crate::isa::Version;

/// One argument in the packed argument block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParamSlot {
    /// The parameter's name.
    pub name: String,
    /// Its offset in bytes.
    pub offset: u32,
    /// Its size in bytes.
    pub size: u32,
}

/// A kernel as PTX.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PtxModule {
    /// The text, which ends in a newline and holds no NUL byte.
    pub text: String,
    /// The name of the entry in it.
    pub entry: String,
    /// The architecture it is for.
    pub target: Ptx,
    /// The PTX ISA version it asks for.
    pub version: Version,
    /// The user's arguments, in order, as `Kernel::param_layout` has them. Assemblers may place
    /// them otherwise in constant memory (they do where a tensor map's alignment asks for it), so
    /// that a launch hands each over by its own pointer.
    pub params: Vec<ParamSlot>,
    /// Offset of the hidden last argument: the address of the launch's error record.
    pub record_offset: u32,
    /// Bytes of the whole argument block, the hidden argument included.
    pub param_bytes: u32,
    /// Bytes of shared memory the module declares itself.
    pub static_shared: u32,
    /// Bytes of dynamic shared memory the kernel's static arrays take, to be added to what a
    /// launch asks for. Not 0 only where the static arrays exceed the 48 KiB a module may declare
    /// (CUDA C++ Programming Guide, "Shared Memory").
    pub hidden_dynamic_shared: u32,
    /// Whether the kernel has checks, and so writes the error record.
    pub has_checks: bool,
}
