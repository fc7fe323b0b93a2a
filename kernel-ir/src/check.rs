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
    /// The index, for bounds checks.
    pub index: u64,
    /// The length, for bounds checks.
    pub len: u64,
    /// The block.
    pub block: [u32; 3],
    /// The thread within its block.
    pub thread: [u32; 3],
    /// Padding to 64 bytes: the record has a cache line of its own.
    pub reserved: [u32; 4],
}

/// Byte offsets of the fields, for the backends.
impl ErrorRecord {
    /// Size in bytes.
    pub const SIZE: u32 = 64;
    /// Offset of `state`.
    pub const STATE: u32 = 0;
    /// Offset of `check`.
    pub const CHECK: u32 = 4;
    /// Offset of `index`.
    pub const INDEX: u32 = 8;
    /// Offset of `len`.
    pub const LEN: u32 = 16;
    /// Offset of `block`.
    pub const BLOCK: u32 = 24;
    /// Offset of `thread`.
    pub const THREAD: u32 = 36;
}

const _: () = {
    assert!(size_of::<ErrorRecord>() == ErrorRecord::SIZE as usize);
    assert!(std::mem::offset_of!(ErrorRecord, check) == ErrorRecord::CHECK as usize);
    assert!(std::mem::offset_of!(ErrorRecord, index) == ErrorRecord::INDEX as usize);
    assert!(std::mem::offset_of!(ErrorRecord, len) == ErrorRecord::LEN as usize);
    assert!(std::mem::offset_of!(ErrorRecord, block) == ErrorRecord::BLOCK as usize);
    assert!(std::mem::offset_of!(ErrorRecord, thread) == ErrorRecord::THREAD as usize);
};

/// What a check in a kernel checks, and where it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckInfo {
    /// The rule.
    pub kind: CheckKind,
    /// The author's message, for assertions.
    pub message: Option<String>,
    /// File, line and column of the user's expression.
    pub location: Option<(String, u32, u32)>,
}
