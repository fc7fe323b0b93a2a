//! How a failing check comes back from a device.
//!
//! Every launch passes a hidden last argument: the address of an [`ErrorRecord`] in memory the
//! device can write. The first thread whose check fails claims it by a compare-and-swap of `state`
//! from 0 to 1, fills in the rest, and every thread whose check fails ends there, as by `return`.

use crate::attr::CheckKind;

/// What the host reads after a launch. All fields are written by the device.
#[repr(C)]
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct ErrorRecord {
    /// 0: nothing failed; 1: the record was claimed.
    pub state: u32,
    /// Index into [`Kernel::checks`](crate::Kernel::checks) of the compiled kernel.
    pub check: u32,
    /// The check's values: of bounds checks the index and the length, of assertions those that
    /// their message shows; those there are none of are not written.
    pub values: [u64; Self::VALUE_COUNT],
    /// The block.
    pub block: [u32; 3],
    /// The thread within its block.
    pub thread: [u32; 3],
}

/// Byte offsets of the fields, for the backends.
impl ErrorRecord {
    /// Most values that a check can show.
    pub const VALUE_COUNT: usize = 4;
    /// Size in bytes: a cache line of its own.
    pub const SIZE: u32 = 64;
    /// Offset of `state`.
    pub const STATE: u32 = 0;
    /// Offset of `check`.
    pub const CHECK: u32 = 4;
    /// Offset of `values`, 8 bytes each.
    pub const VALUES: u32 = 8;
    /// Offset of `block`.
    pub const BLOCK: u32 = 40;
    /// Offset of `thread`.
    pub const THREAD: u32 = 52;
}

const _: () = {
    assert!(size_of::<ErrorRecord>() == ErrorRecord::SIZE as usize);
    assert!(std::mem::offset_of!(ErrorRecord, check) == ErrorRecord::CHECK as usize);
    assert!(std::mem::offset_of!(ErrorRecord, values) == ErrorRecord::VALUES as usize);
    assert!(std::mem::offset_of!(ErrorRecord, block) == ErrorRecord::BLOCK as usize);
    assert!(std::mem::offset_of!(ErrorRecord, thread) == ErrorRecord::THREAD as usize);
};

/// What a check in a kernel checks, and where it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckInfo {
    /// The rule.
    pub kind: CheckKind,
    /// The author's message, for assertions: a [`Message`](crate::message::Message) as text.
    pub message: Option<String>,
    /// File, line and column of the user's expression.
    pub location: Option<(String, u32, u32)>,
}
