//! How what a kernel prints comes back from a device.
//!
//! A launch of a kernel that prints passes two hidden arguments
//! ([`ParamKind`](crate::ParamKind)): the address of a [`PrintBuffer`] and the number of the
//! kernel's first print. A print claims room by one atomic addition and then writes a record there,
//! so that records of different threads never mix. Where there is no room it counts itself as
//! dropped; claims only grow, so that no later record has room either, and what was written lies
//! without gaps at the beginning. Room is given back by the host, which writes zeros over what it
//! has read. All of it is ordinary IR: backends need nothing for it.

use crate::types::Scalar;

/// What stands before the records, in words of 32 bits; the records follow.
#[repr(C)]
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct PrintBuffer {
    /// Words claimed so far, those that there was no room for included.
    pub claimed: u64,
    /// Records that there was no room for.
    pub dropped: u64,
    /// Words there are for records; written by the host.
    pub capacity: u64,
}

impl PrintBuffer {
    /// Words before the records: a cache line.
    pub const HEADER_WORDS: u32 = 16;
    /// Byte offset of `claimed`.
    pub const CLAIMED: u32 = 0;
    /// Byte offset of `dropped`.
    pub const DROPPED: u32 = 8;
    /// Byte offset of `capacity`.
    pub const CAPACITY: u32 = 16;
}

const _: () = {
    assert!(std::mem::offset_of!(PrintBuffer, claimed) == PrintBuffer::CLAIMED as usize);
    assert!(std::mem::offset_of!(PrintBuffer, dropped) == PrintBuffer::DROPPED as usize);
    assert!(std::mem::offset_of!(PrintBuffer, capacity) == PrintBuffer::CAPACITY as usize);
};

/// Words that a value takes in a record: its bits, the lower half first.
pub const fn words(ty: Scalar) -> usize {
    if ty.size() > 4 { 2 } else { 1 }
}

/// The records in what was written: for each the print's number and its values' bits. `types` gives
/// the types of a print's values by its number; a number it does not know ends the reading.
pub fn records<'w, T: AsRef<[Scalar]>>(
    mut written: &'w [u32],
    types: impl Fn(u32) -> Option<T> + 'w,
) -> impl Iterator<Item = (u32, Vec<u64>)> + 'w {
    std::iter::from_fn(move || {
        // Numbers are stored one higher, so that where nothing was written there is none.
        let number = written.first()?.checked_sub(1)?;
        let mut rest = &written[1..];
        let mut values = Vec::new();
        for &ty in types(number)?.as_ref() {
            let (value, after) = rest.split_at_checked(words(ty))?;
            values.push(value.iter().rev().fold(0, |bits, &word| bits << 32 | u64::from(word)));
            rest = after;
        }
        written = rest;
        Some((number, values))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_up_to_what_was_not_written() {
        let types = |n: u32| [vec![], vec![Scalar::F32, Scalar::U64]].get(n as usize).cloned();
        let written = [2, 7, 1, 2, 1, 0, 9, 9];
        let found: Vec<_> = records(&written, types).collect();
        assert_eq!(found, [(1, vec![7, 2 << 32 | 1]), (0, vec![])]);
        assert_eq!(records(&[2, 7, 1], types).count(), 0, "cut off");
        assert_eq!(records(&[9], types).count(), 0, "unknown");
    }
}
