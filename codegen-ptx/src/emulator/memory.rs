//! Device memory: allocations with gaps between them.

/// Where the first allocation begins.
const BASE: u64 = 0x7f00_0000_0000;

/// Between allocations, so that an access past the end of one is outside all.
const GAP: u64 = 4096;

/// The memory of an emulated device.
#[derive(Clone, Default, Debug)]
pub struct Memory {
    allocations: Vec<(u64, Vec<u8>)>,
}

impl Memory {
    /// No memory.
    pub fn new() -> Memory {
        Memory::default()
    }

    /// Allocates a copy of some bytes, aligned to 256; returns the address.
    pub fn alloc(&mut self, bytes: &[u8]) -> u64 {
        let end = self.allocations.last().map_or(BASE, |(at, bytes)| at + bytes.len() as u64 + GAP);
        let at = end.next_multiple_of(256);
        self.allocations.push((at, bytes.to_vec()));
        at
    }

    /// The bytes of the allocation at an address that [`Memory::alloc`] returned.
    ///
    /// # Panics
    /// If there is none.
    pub fn bytes(&self, at: u64) -> &[u8] {
        let found = self.allocations.iter().find(|(begin, _)| *begin == at);
        &found.expect("an address from `alloc`").1
    }

    /// `len` bytes anywhere in one allocation.
    pub(super) fn slice(&mut self, at: u64, len: u64) -> Result<&mut [u8], String> {
        let found = self.allocations.iter_mut().find_map(|(begin, bytes)| {
            let from = at.checked_sub(*begin)?;
            let end = from.checked_add(len)?;
            bytes.get_mut(from as usize..end as usize)
        });
        found.ok_or_else(|| format!("{len} bytes at {at:#x} lie in no allocation"))
    }
}

/// Little-endian bytes as bits.
pub(super) fn load(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |all, &byte| all << 8 | u64::from(byte))
}

/// The low bits as little-endian bytes.
pub(super) fn store(bytes: &mut [u8], bits: u64) {
    let len = bytes.len();
    bytes.copy_from_slice(&bits.to_le_bytes()[..len]);
}
