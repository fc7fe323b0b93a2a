//! How the work of kernels that memory bounds is cut into blocks.

use kernelsmith::Target;
use kernelsmith::lang::stage::target;
use kernelsmith::prelude::*;

/// Threads of a block of an element-wise kernel: on a CPU one warp, which reads memory front to back.
pub(crate) fn threads() -> usize {
    match target() {
        Target::Cpu => warp_size(),
        _ => 256,
    }
}

/// Elements of a block of an element-wise kernel: enough for a block to cost nothing, and few enough for
/// all threads to have some. Tiles begin at cache lines.
pub(crate) fn tile(target: &Target, len: usize) -> usize {
    match target {
        Target::Cpu => (len / 8).next_multiple_of(64).clamp(1 << 11, 1 << 14),
        _ => 1 << 11,
    }
}

/// Whole rows of a block of one warp: on a CPU as many as make it worth a call.
pub(crate) fn rows(target: &Target, columns: usize) -> usize {
    match target {
        Target::Cpu => ((1 << 12) / columns.max(1)).max(1),
        _ => 1,
    }
}

/// Whether an output of so many bytes goes past the caches, which could not keep it for its reader. Then
/// memory need not be read before it is written.
pub(crate) fn streams<T>(target: &Target, len: usize) -> bool {
    *target == Target::Cpu && len * size_of::<T>() > 1 << 22
}
