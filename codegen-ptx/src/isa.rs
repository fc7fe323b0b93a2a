//! PTX ISA versions: which one an architecture begins with, and which one a feature needs.

use std::fmt;

use kernelsmith_ir::target::Ptx;

/// A PTX ISA version. A driver assembles text up to its own; CUDA 11.0 has 7.0, 12.0 has 8.0,
/// 13.0 has 9.0 (PTX ISA, "Release Notes").
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Version {
    /// The number before the point.
    pub major: u32,
    /// The number behind it.
    pub minor: u32,
}

impl Version {
    pub(crate) const fn new(major: u32, minor: u32) -> Version {
        Version { major, minor }
    }

    /// The first version that has the architecture (PTX ISA, `.target`), and 7.0 at least.
    pub(crate) const fn minimum(target: Ptx) -> Version {
        match (target.sm, target.specific) {
            (..=80, _) => Version::new(7, 0),
            (..=86, _) => Version::new(7, 1),
            (..=89, _) | (90, false) => Version::new(7, 8),
            (90, true) => Version::new(8, 0),
            (..=100, _) => Version::new(8, 6),
            _ => Version::new(8, 7),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}
