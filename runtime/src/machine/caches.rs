//! A cache as the operating system or the processor describes it.

/// What a cache holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CacheKind {
    /// Data, or data and instructions.
    Data,
    /// Instructions alone.
    Instructions,
}

/// One cache of the first core.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cache {
    pub(crate) level: u32,
    pub(crate) kind: CacheKind,
    pub(crate) bytes: usize,
    pub(crate) line: usize,
    /// Threads of the processor that share it.
    pub(crate) threads: usize,
}
