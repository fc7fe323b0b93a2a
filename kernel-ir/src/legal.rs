//! Whether a target has what a kernel uses: operations, matrix shapes, shared memory, threads.
//!
//! Asked of the kernel as the front end wrote it, so that the error is at the user's line, says what
//! was written there, and names the targets that have it.

use crate::attr::{Attr, BoxMode};
use crate::kernel::{Inst, Kernel, Param, ParamKind};
use crate::op::{Availability, Opcode};
use crate::target::Target;
use crate::types::{Scalar, Space, Type};

/// Something that a target lacks.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LegalError {
    /// An operation.
    #[error("{location}: {target} has no `{op}`; there is one on: {available}")]
    Operation {
        /// `file:line:column`.
        location: String,
        /// The operation, with what of it is missing: its shape or type.
        op: String,
        /// The target.
        target: Target,
        /// The targets that have it.
        available: String,
    },
    /// More shared memory than a block can have.
    #[error(
        "{location}: the shared arrays of `{kernel}` take {bytes} bytes, and a block on {target} \
         has at most {most}; there is as much on: {available}"
    )]
    SharedMemory {
        /// Where the largest array is.
        location: String,
        /// The kernel.
        kernel: String,
        /// What the static arrays take.
        bytes: u64,
        /// What there is.
        most: u32,
        /// The target.
        target: Target,
        /// The targets that have as much.
        available: String,
    },
    /// A parameter or a way to launch.
    #[error("`{kernel}` has a {what}, and {target} knows none; there is one on: {available}")]
    Feature {
        /// The kernel.
        kernel: String,
        /// What it has.
        what: String,
        /// The target.
        target: Target,
        /// The targets that have it.
        available: String,
    },
    /// More threads than a block can have.
    #[error(
        "`{kernel}` fixes blocks of {block:?}, and a block on {target} has at most {most} threads"
    )]
    Threads {
        /// The kernel.
        kernel: String,
        /// The block size it fixes.
        block: [u32; 3],
        /// What there is.
        most: u32,
        /// The target.
        target: Target,
    },
}

/// Checks that a target has what a verified kernel uses.
///
/// # Errors
/// At the first operation, in program order, that the target lacks, or where a limit is passed.
pub fn check(kernel: &Kernel, target: &Target) -> Result<(), LegalError> {
    threads(kernel, target)?;
    clusters(kernel, target)?;
    shared_memory(kernel, target)?;
    let mut missing: Option<&Inst> = None;
    kernel.body.walk(&mut |inst| {
        if missing.is_none() && !is_available(kernel, inst, target) {
            missing = Some(inst);
        }
    });
    match missing {
        Some(inst) => Err(LegalError::Operation {
            location: kernel.sources.display(inst.loc),
            op: describe(kernel, inst),
            target: target.clone(),
            available: available(kernel, inst),
        }),
        None => Ok(()),
    }
}

/// The targets that have an operation, in words. What only the variants with features of their own
/// have says so itself.
fn available(kernel: &Kernel, inst: &Inst) -> String {
    if let Attr::Bulk { mode: BoxMode::Rows, .. } = inst.attr
        && !is_available(kernel, inst, &Target::sm(100, false))
    {
        return Target::sm(100, true).to_string();
    }
    if counts_in_pair(kernel, inst) {
        return Availability::SmOnly(100).describe();
    }
    match inst.op.info().availability {
        specific @ (Availability::SmOnly(_) | Availability::SmSpecific(_)) => specific.describe(),
        _ => Target::describe_where(|t| is_available(kernel, inst, t)),
    }
}

/// Whether a target has an operation, on the types and in the shape it is used.
pub fn is_available(kernel: &Kernel, inst: &Inst, target: &Target) -> bool {
    let info = inst.op.info();
    match (&inst.attr, info.availability) {
        (Attr::Bulk { .. }, _) if counts_in_pair(kernel, inst) => {
            Availability::SmOnly(100).on(target)
        }
        (Attr::Mma(shape), Availability::ByShape) => shape.available(target),
        (Attr::Bulk { mode: BoxMode::Rows, multicast, .. }, _) => {
            has_rows(target, inst.op == Opcode::TmaLoad && !multicast)
        }
        (Attr::Atomic { .. }, all) => {
            all.on(target) && has_atomics(target, kernel.ty(inst.operands[0]).elem())
        }
        (_, availability) if inst.op == Opcode::Cast => {
            availability.on(target) && (!to_tf32(kernel, inst) || has_tf32(target))
        }
        (_, availability) => availability.on(target),
    }
}

/// Whether a load is counted by a barrier that may be the peer's (PTX ISA, `cp.async.bulk.tensor`,
/// `.cta_group` and the target notes).
fn counts_in_pair(kernel: &Kernel, inst: &Inst) -> bool {
    let in_cluster = |value| matches!(kernel.ty(value), Type::Ptr(Space::Cluster, _));
    inst.op == Opcode::TmaLoad && in_cluster(inst.operands[2])
}

fn to_tf32(kernel: &Kernel, inst: &Inst) -> bool {
    kernel.ty(inst.results[0]).elem() == Scalar::TF32
}

/// Whether a target rounds to tf32 (PTX ISA, "cvt": from sm_80).
pub const fn has_tf32(target: &Target) -> bool {
    matches!(target, Target::Ptx(ptx) if ptx.sm >= 80)
}

/// Whether a target copies four rows at once: Blackwell; all but loads into the own block by the
/// instructions of the data centre's alone (PTX ISA, `cp.async.bulk.tensor`, target notes).
const fn has_rows(target: &Target, loads_here: bool) -> bool {
    match target {
        Target::Ptx(ptx) => ptx.sm >= 100 && (loads_here || (ptx.sm == 100 && ptx.specific)),
        _ => false,
    }
}

/// Whether a target has atomics on a type. AMD's are on 4 and 8 bytes (LLVM AMDGPU guide, "Memory
/// Model"; "CDNA3 ISA", chapter "Flat Memory Instructions"); on the others narrower ones are loops
/// of compare-and-swap.
pub const fn has_atomics(target: &Target, elem: Scalar) -> bool {
    !matches!(target, Target::Amdgcn(_)) || elem.size() >= 4
}

/// The operation with its shape, or with its type where that is what matters.
fn describe(kernel: &Kernel, inst: &Inst) -> String {
    let name = inst.op.name();
    match (&inst.attr, inst.op) {
        (Attr::Mma(shape), _) => format!("{name} {}", shape.name()),
        (Attr::Wgmma(wgmma), _) => wgmma.shape.name(),
        (Attr::Bulk { .. }, _) if counts_in_pair(kernel, inst) => {
            format!("{name} that a barrier of the pair counts")
        }
        (Attr::Bulk { mode: BoxMode::Rows, .. }, _) => format!("{name} of rows"),
        (Attr::Atomic { .. }, Opcode::AtomicRmw | Opcode::AtomicCas) => {
            format!("{name} on {}", kernel.ty(inst.operands[0]).elem())
        }
        (_, Opcode::Cast) => format!("{name} to {}", kernel.ty(inst.results[0]).elem()),
        _ => name.to_owned(),
    }
}

/// Tensor maps and clusters are there from Hopper on (PTX ISA, "Tensors", ".reqnctapercluster").
fn clusters(kernel: &Kernel, target: &Target) -> Result<(), LegalError> {
    let has = |target: &Target| matches!(target, Target::Ptx(ptx) if ptx.sm >= 90);
    if has(target) {
        return Ok(());
    }
    let is_map = |p: &&Param| matches!(p.kind, ParamKind::TensorMap(_));
    let map = kernel.params.iter().find(is_map).map(|p| format!("tensor map (`{}`)", p.name));
    let cluster = kernel.cluster_dim.map(|cluster| format!("cluster of {cluster:?}"));
    match map.or(cluster) {
        None => Ok(()),
        Some(what) => Err(LegalError::Feature {
            kernel: kernel.name.clone(),
            what,
            target: target.clone(),
            available: Target::describe_where(has),
        }),
    }
}

fn threads(kernel: &Kernel, target: &Target) -> Result<(), LegalError> {
    let Some(block) = kernel.block_dim else { return Ok(()) };
    let most = target.max_threads();
    // Saturating, as three large axes pass 64 bits.
    let count = block.iter().fold(1u64, |n, &axis| n.saturating_mul(axis.into()));
    if count <= u64::from(most) {
        return Ok(());
    }
    Err(LegalError::Threads { kernel: kernel.name.clone(), block, most, target: target.clone() })
}

fn shared_memory(kernel: &Kernel, target: &Target) -> Result<(), LegalError> {
    let (_, bytes) = kernel.shared_layout();
    let most = target.max_shared_bytes();
    if bytes <= most {
        return Ok(());
    }
    Err(LegalError::SharedMemory {
        location: largest_array(kernel),
        kernel: kernel.name.clone(),
        bytes: bytes.into(),
        most,
        target: target.clone(),
        available: Target::describe_where(|t| bytes <= t.max_shared_bytes()),
    })
}

/// Where the largest shared array's address is taken, which is where it is made.
fn largest_array(kernel: &Kernel) -> String {
    let size = |id: &crate::kernel::SharedId| {
        let decl = &kernel.shared[id.index()];
        decl.len.unwrap_or(0) * decl.elem.size()
    };
    let mut found: Option<(u32, &Inst)> = None;
    kernel.body.walk(&mut |inst| {
        if let Attr::Shared(id) = &inst.attr
            && found.is_none_or(|(largest, _)| size(id) > largest)
        {
            found = Some((size(id), inst));
        }
    });
    kernel.sources.display(found.map_or(crate::Loc::NONE, |(_, inst)| inst.loc))
}
