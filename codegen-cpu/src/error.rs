//! What can go wrong between IR and machine code.

/// An error of this crate.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The CPU cannot run the operation, or not where it stands.
    #[error("{location}: the CPU cannot run `{operation}` here: {reason}")]
    Unsupported {
        /// The user's line.
        location: String,
        /// The operation.
        operation: &'static str,
        /// Why.
        reason: String,
    },
    /// The block size is none.
    #[error("`block` is {block:?}: a block has 1 to 1024 threads")]
    Block {
        /// The size asked for.
        block: [u32; 3],
    },
    /// The override of the instruction set is none of those there are.
    #[error("KERNELSMITH_CPU_FEATURES is `{0}`: expected avx512, avx2, sse2 or native")]
    Isa(String),
    /// LLVM failed.
    #[error(transparent)]
    Llvm(#[from] kernelsmith_llvm::Error),
}
