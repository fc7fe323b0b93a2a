//! Why a kernel has no PTX.

use kernelsmith_ir::Type;
use kernelsmith_ir::target::Ptx;

/// An error of [`compile`](crate::compile).
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An operation that `passes::prepare` replaces before code is generated.
    #[error("{kernel}: {location}: `{op}` reached the PTX backend: the kernel was not prepared")]
    NotPrepared {
        /// The kernel.
        kernel: String,
        /// The user's line.
        location: String,
        /// The operation.
        op: &'static str,
    },
    /// An operation that the architecture does not have, or not on this type.
    #[error("{kernel}: {location}: `{op}` on {ty} for {}: {rule}", target_name(.target))]
    Unsupported {
        /// The kernel.
        kernel: String,
        /// The user's line.
        location: String,
        /// The operation.
        op: &'static str,
        /// The type it is asked for.
        ty: Type,
        /// The architecture.
        target: Ptx,
        /// What there is instead.
        rule: String,
    },
    /// More shared memory than a block can have.
    #[error(
        "{kernel}: its shared arrays take {bytes} bytes, and a block has at most {most} on {}",
        target_name(.target)
    )]
    SharedTooLarge {
        /// The kernel.
        kernel: String,
        /// What the static arrays take.
        bytes: u32,
        /// What there is.
        most: u32,
        /// The architecture.
        target: Ptx,
    },
}

fn target_name(target: &Ptx) -> String {
    kernelsmith_ir::Target::Ptx(*target).to_string()
}
