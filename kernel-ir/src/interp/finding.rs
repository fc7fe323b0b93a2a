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
    /// A race in which one side is an asynchronous copy not waited for.
    CopyInFlight,
    /// A barrier that not all threads of the block reach together.
    DivergentBarrier,
    /// A collective operation that not all lanes of the warp reach together.
    DivergentCollective,
    /// A shuffle that asks a lane that does not exist.
    InactiveLane,
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
            FindingKind::DivergentBarrier => "divergent barrier",
            FindingKind::DivergentCollective => "divergent collective operation",
            FindingKind::InactiveLane => "shuffle from a lane that is not there",
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

/// The other side of a race or of a divergence.
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
        let Finding { kind, kernel, location, agent, what, other, seed } = self;
        let location = Shown(location);
        write!(f, "kernel `{kernel}`{location}: {}: {what} ({agent})", kind.name())?;
        if let Some(Other { agent, location, what }) = other {
            write!(f, "\n  the other{}: {what} ({agent})", Shown(location))?;
        }
        write!(f, "\n  the same again: KERNELSMITH_SEED={seed}")
    }
}
