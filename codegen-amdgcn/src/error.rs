//! What can go wrong between IR and a code object.

use kernelsmith_ir::Target;

/// An error of this crate.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The architecture has no such operation.
    #[error("{location}: {target} has no {operation}: {reason}")]
    Unsupported {
        /// The user's line.
        location: String,
        /// The target.
        target: Target,
        /// The operation.
        operation: String,
        /// Why, or who has it.
        reason: String,
    },
    /// LLVM or the linker failed.
    #[error(transparent)]
    Llvm(#[from] kernelsmith_llvm::Error),
    /// The code object's metadata could not be read.
    #[error("the code object's metadata is not as expected: {0}")]
    Metadata(String),
}
