//! Barriers and collective operations stand where everybody concerned comes together.
//!
//! A barrier needs all threads of the block; one that some never reach hangs the others (PTX ISA,
//! "bar": all threads in the warp must execute the same barrier instruction). A warp's collective
//! operation needs the whole warp: what a lane gets from one that does not take part is undefined.
//! Threads that have returned count as arrived at barriers, but have no value to give to a
//! collective operation.

use super::uniformity::{Level, Raised, Site, Uniformity};
use crate::kernel::{Kernel, Value};
use crate::loc::Loc;
use crate::op::Opcode;
use crate::target::Target;

/// An operation that needs threads to come together, where they may not.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "{location}: `{op}` must be reached by every thread of the {group} together, but {trouble}{trace}"
)]
pub struct ConvergenceError {
    /// The operation's name.
    pub op: &'static str,
    /// `file:line:column` of the operation.
    pub location: String,
    /// `cluster`, `block`, `warpgroup` or `warp`.
    pub group: &'static str,
    /// What keeps threads away.
    pub trouble: String,
    /// From where that comes, one line for each step, and what to do instead.
    pub trace: String,
}

/// Checks a kernel without variable slots.
///
/// # Errors
/// At the first barrier, warp synchronisation or collective operation under control flow on which
/// the threads it concerns do not surely agree.
pub fn check(kernel: &Kernel, target: &Target) -> Result<(), ConvergenceError> {
    let uniformity = Uniformity::analyse(kernel, target, false);
    let broken = |site: &&Site| {
        let (allowed, returned) = allowed(site.op);
        site.control.level > allowed || (returned && site.returned.level > allowed)
    };
    match uniformity.sites.iter().find(broken) {
        Some(site) => Err(error(kernel, &uniformity, site)),
        None => Ok(()),
    }
}

/// The level an operation needs, and whether returned threads are missed.
fn allowed(op: Opcode) -> (Level, bool) {
    match op {
        // Which block of its cluster one is differs between the threads of the cluster.
        Opcode::ClusterArrive | Opcode::ClusterWait => (Level::Grid, false),
        Opcode::Barrier => (Level::Block, false),
        // PTX ISA, `wgmma` and `setmaxnreg`: all threads of the warpgroup execute the same one.
        Opcode::SetMaxRegisters
        | Opcode::WgmmaFence
        | Opcode::Wgmma
        | Opcode::WgmmaCommit
        | Opcode::WgmmaWait => (Level::Warpgroup, true),
        _ => (Level::Warp, true),
    }
}

/// Whom an operation of a level concerns, in words.
const fn group_of(level: Level) -> &'static str {
    match level {
        Level::Grid => "cluster",
        Level::Block => "block",
        Level::Warpgroup => "warpgroup",
        Level::Warp | Level::Varying => "warp",
    }
}

fn error(kernel: &Kernel, uniformity: &Uniformity, site: &Site) -> ConvergenceError {
    let (level, _) = allowed(site.op);
    let group = group_of(level);
    let (trouble, raised, way_out) = if site.control.level > level {
        (
            format!("whether it is reached can differ between the threads of a {group}"),
            site.control,
            match level {
                Level::Grid => {
                    "move it to where all blocks of the cluster come, outside of what depends on \
                     the block's index"
                        .to_owned()
                }
                Level::Warpgroup => {
                    "move it to where all of them come, or decide by `warpgroup_id()`".to_owned()
                }
                _ => format!(
                    "move it to where all of them come, or decide by what the {group} agrees on, as \
                     `{group}_any`, `{group}_all` and `{group}_broadcast` give"
                ),
            },
        )
    } else {
        (
            format!("some threads of a {group} may have returned before"),
            site.returned,
            "instead of returning, put what only some threads do under an `if` that ends before"
                .to_owned(),
        )
    };
    ConvergenceError {
        op: site.op.name(),
        location: kernel.sources.display(site.loc),
        group,
        trouble,
        trace: trace(kernel, uniformity, raised) + "\n  " + &way_out,
    }
}

/// Follows a level to its source; consecutive steps on one line of the source are one.
fn trace(kernel: &Kernel, uniformity: &Uniformity, raised: Raised) -> String {
    const STEPS: usize = 8;
    let mut text = String::new();
    let mut last = Loc::NONE;
    let mut at = raised.by;
    let mut seen: Vec<Value> = Vec::new();
    while let Some(value) = at
        && !seen.contains(&value)
    {
        seen.push(value);
        let Some(cause) = uniformity.causes[value.index()] else { break };
        let source = cause.from.is_none();
        if source || (cause.loc != last && seen.len() <= STEPS) {
            let what = if source { "comes from" } else { "depends on" };
            let location = kernel.sources.display(cause.loc);
            text.push_str(&format!("\n  {what} `{}` at {location}", cause.op.name()));
        }
        last = cause.loc;
        at = cause.from;
    }
    text
}
