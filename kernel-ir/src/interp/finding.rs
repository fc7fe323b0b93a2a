//! What the interpreter finds, in words.

use std::fmt;

/// What is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
#[non_exhaustive]
pub enum FindingKind {
    /// An access outside of its array or buffer.
    OutOfBounds,
    /// An access at an address that is no multiple of what its instruction needs.
    Misaligned,
    /// A read of memory nobody wrote.
    Uninitialized,
    /// A write through a parameter that is only read.
    ReadOnly,
    /// Two accesses of one place, at least one of them a write, that nothing orders.
    Race,
    /// A race in which one side is an asynchronous copy, or a `wgmma`, not waited for.
    CopyInFlight,
    /// A fence is missing between what a thread did and what the asynchronous proxy does.
    MissingFence,
    /// A barrier that not all threads of the block reach together.
    DivergentBarrier,
    /// A collective operation that not all lanes of the warp reach together.
    DivergentCollective,
    /// An operation that asks lanes that do not exist.
    InactiveLane,
    /// A barrier in shared memory, or the cluster's, that is not used as it must be.
    BarrierMisuse,
    /// Threads that wait for each other, or for nobody.
    Deadlock,
    /// An access to the shared memory of a block that may have ended.
    EndedBlock,
    /// A `wgmma` out of its protocol.
    WgmmaOrder,
    /// A use of the result of a `wgmma` that was not waited for.
    ResultInFlight,
    /// A write to registers from which a `wgmma` that was not waited for reads its left factor.
    FactorInFlight,
    /// Memory that has to hold the same several times over, and does not.
    UnequalCopies,
    /// A launch that the device would refuse.
    BadLaunch,
    /// An integer division without result that no check caught.
    Division,
    /// A thread that ran longer than it may.
    Endless,
}

impl FindingKind {
    /// In a few words.
    pub const fn name(self) -> &'static str {
        match self {
            FindingKind::OutOfBounds => "access out of bounds",
            FindingKind::Misaligned => "misaligned access",
            FindingKind::Uninitialized => "read of uninitialised memory",
            FindingKind::ReadOnly => "write to read-only memory",
            FindingKind::Race => "data race",
            FindingKind::CopyInFlight => "race with an asynchronous copy",
            FindingKind::MissingFence => "missing fence",
            FindingKind::DivergentBarrier => "divergent barrier",
            FindingKind::DivergentCollective => "divergent collective operation",
            FindingKind::InactiveLane => "lanes that are not there",
            FindingKind::BarrierMisuse => "misuse of a barrier",
            FindingKind::Deadlock => "deadlock",
            FindingKind::EndedBlock => "access to a block that has ended",
            FindingKind::FactorInFlight => "overwritten factor in flight",
            FindingKind::WgmmaOrder => "`wgmma` out of order",
            FindingKind::ResultInFlight => "use of a result in flight",
            FindingKind::UnequalCopies => "copies that differ",
            FindingKind::BadLaunch => "launch that the device refuses",
            FindingKind::Division => "unchecked division",
            FindingKind::Endless => "endless thread",
        }
    }
}

/// File, line and column.
pub type Place = (String, u32, u32);

/// A thread of the launch.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Agent {
    /// The block.
    pub block: [u32; 3],
    /// The thread within its block.
    pub thread: [u32; 3],
}

impl fmt::Display for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([bx, by, bz], [tx, ty, tz]) = (self.block, self.thread);
        write!(f, "block {bx},{by},{bz}, thread {tx},{ty},{tz}")
    }
}

/// The other side of a race, of a divergence or of a deadlock.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Other {
    /// The thread.
    pub agent: Agent,
    /// The line, where it is known.
    pub location: Option<Place>,
    /// What it did, does or waits for.
    pub what: String,
}

/// Something wrong in a launch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// The kernel.
    pub kernel: String,
    /// The user's line, where it is known.
    pub location: Option<Place>,
    /// The thread.
    pub agent: Agent,
    /// What the thread did.
    pub what: String,
    /// The other thread, in a race or divergence.
    pub other: Option<Other>,
    /// In a deadlock: who else waits, and for what; behind each wait stands the one it depends on.
    pub waits: Vec<Other>,
    /// The schedule's seed: with it, the launch runs the same again.
    pub seed: u64,
}

struct Shown<'a>(&'a Option<Place>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some((file, line, column)) => write!(f, " at {file}:{line}:{column}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding { kind, kernel, location, agent, what, other, waits, seed } = self;
        let location = Shown(location);
        write!(f, "kernel `{kernel}`{location}: {}: {what} ({agent})", kind.name())?;
        if let Some(Other { agent, location, what }) = other {
            write!(f, "\n  the other{}: {what} ({agent})", Shown(location))?;
        }
        for Other { agent, location, what } in waits {
            write!(f, "\n  and{}: {what} ({agent})", Shown(location))?;
        }
        write!(f, "\n  the same again: KERNELSMITH_SEED={seed}")
    }
}
