//! Memory with bounds and a note for each byte whether anybody wrote it.

use std::collections::BTreeMap;
use std::ops::Range;

/// Bytes, each written or not.
#[derive(Clone, Default, Debug)]
pub(super) struct Bytes {
    data: Vec<u8>,
    /// A bit for each byte.
    written: Vec<u64>,
}

impl Bytes {
    /// Bytes that nobody wrote. They hold no zeros, so that code which relies on zeros is wrong
    /// in its results, too.
    pub(super) fn unwritten(len: usize) -> Bytes {
        Bytes { data: vec![0xA5; len], written: vec![0; len.div_ceil(64)] }
    }

    pub(super) fn len(&self) -> usize {
        self.data.len()
    }

    pub(super) fn get(&self, range: Range<usize>) -> &[u8] {
        &self.data[range]
    }

    pub(super) fn put(&mut self, at: usize, bytes: &[u8]) {
        self.data[at..at + bytes.len()].copy_from_slice(bytes);
        self.mark(at..at + bytes.len());
    }

    /// Notes that bytes are written.
    pub(super) fn mark(&mut self, range: Range<usize>) {
        for (word, mask) in masks(range) {
            self.written[word] |= mask;
        }
    }

    /// Whether all bytes were written.
    pub(super) fn is_written(&self, range: Range<usize>) -> bool {
        masks(range).all(|(word, mask)| self.written[word] & mask == mask)
    }

    fn part(&self, range: Range<usize>) -> Bytes {
        let mut part = Bytes::unwritten(range.len());
        part.copy(0, self, range);
        part
    }

    /// Copies bytes from elsewhere, and whether they were written with them.
    fn copy(&mut self, at: usize, from: &Bytes, range: Range<usize>) {
        self.data[at..at + range.len()].copy_from_slice(&from.data[range.clone()]);
        for (to, from_at) in (at..).zip(range) {
            let bit = from.written[from_at / 64] >> (from_at % 64) & 1;
            let word = &mut self.written[to / 64];
            *word = *word & !(1 << (to % 64)) | bit << (to % 64);
        }
    }
}

/// The words of a bitmap that a range touches, and its bits there.
fn masks(range: Range<usize>) -> impl Iterator<Item = (usize, u64)> {
    let words = range.start / 64..range.end.div_ceil(64);
    let words = if range.is_empty() { 0..0 } else { words };
    words.map(move |word| {
        let from = range.start.max(word * 64) - word * 64;
        let to = range.end.min(word * 64 + 64) - word * 64;
        let ones = u64::MAX >> (64 - (to - from));
        (word, ones << from)
    })
}

/// A buffer in global memory.
#[derive(Debug)]
struct Allocation {
    bytes: Bytes,
}

/// Global memory: buffers with space between them, at addresses that are not used twice, so that
/// no address of a buffer that is gone can name another.
#[derive(Debug, Default)]
pub struct Memory {
    /// By number; freed ones are `None`.
    allocations: Vec<Option<Allocation>>,
    by_address: BTreeMap<u64, usize>,
    next: u64,
}

/// Alignment of every buffer.
const ALIGNMENT: u64 = 256;

/// An address range that lies in no buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no buffer holds the {bytes} bytes at {address:#x}")]
pub struct NoBuffer {
    /// The address.
    pub address: u64,
    /// How many bytes.
    pub bytes: usize,
}

impl Memory {
    /// No buffers.
    pub fn new() -> Memory {
        Memory::default()
    }

    /// A buffer that nobody wrote yet; its address.
    pub fn allocate(&mut self, bytes: usize) -> u64 {
        // Address 0 and the first page stay free.
        let address = self.next.max(1 << 16).next_multiple_of(ALIGNMENT);
        self.next = address + bytes as u64 + ALIGNMENT;
        self.by_address.insert(address, self.allocations.len());
        self.allocations.push(Some(Allocation { bytes: Bytes::unwritten(bytes) }));
        address
    }

    /// Forgets a buffer.
    ///
    /// # Errors
    /// If no buffer begins there.
    pub fn free(&mut self, address: u64) -> Result<(), NoBuffer> {
        let number = self.by_address.remove(&address).ok_or(NoBuffer { address, bytes: 0 })?;
        self.allocations[number] = None;
        Ok(())
    }

    /// Writes bytes.
    ///
    /// # Errors
    /// If they do not lie in one buffer.
    pub fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), NoBuffer> {
        let (number, at) = self.find(address, bytes.len())?;
        self.bytes_mut(number).put(at, bytes);
        Ok(())
    }

    /// Reads bytes.
    ///
    /// # Errors
    /// If they do not lie in one buffer.
    pub fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), NoBuffer> {
        let (number, at) = self.find(address, bytes.len())?;
        bytes.copy_from_slice(self.bytes(number).get(at..at + bytes.len()));
        Ok(())
    }

    /// Copies bytes between buffers, and with them whether they were written.
    ///
    /// # Errors
    /// If a side does not lie in one buffer.
    pub fn copy(&mut self, to: u64, from: u64, bytes: usize) -> Result<(), NoBuffer> {
        let (source, at) = self.find(from, bytes)?;
        let (target, to) = self.find(to, bytes)?;
        // Through a copy, as both may be one buffer.
        let part = self.bytes(source).part(at..at + bytes);
        self.bytes_mut(target).copy(to, &part, 0..bytes);
        Ok(())
    }

    /// The buffer that holds a range, and where in it.
    pub(super) fn find(&self, address: u64, bytes: usize) -> Result<(usize, usize), NoBuffer> {
        let missing = NoBuffer { address, bytes };
        let (&start, &number) = self.by_address.range(..=address).next_back().ok_or(missing)?;
        let at = (address - start) as usize;
        let len = self.bytes(number).len();
        if at.checked_add(bytes).is_none_or(|end| end > len) {
            return Err(missing);
        }
        Ok((number, at))
    }

    pub(super) fn bytes(&self, number: usize) -> &Bytes {
        &self.allocations[number].as_ref().expect("listed by address, so not freed").bytes
    }

    pub(super) fn bytes_mut(&mut self, number: usize) -> &mut Bytes {
        let allocation = self.allocations[number].as_mut();
        &mut allocation.expect("listed by address, so not freed").bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_know_who_was_written() {
        let mut bytes = Bytes::unwritten(200);
        bytes.put(60, &[1; 10]);
        assert!(bytes.is_written(60..70) && !bytes.is_written(59..61));
        assert!(!bytes.is_written(60..71) && bytes.is_written(100..100));
        let mut copy = Bytes::unwritten(200);
        copy.mark(0..200);
        copy.copy(100, &bytes, 55..75);
        assert!(copy.is_written(105..115) && !copy.is_written(104..106));
    }

    #[test]
    fn addresses_name_one_buffer_only() {
        let mut memory = Memory::new();
        let [a, b] = [memory.allocate(100), memory.allocate(0)];
        memory.write(a + 96, &[1, 2, 3, 4]).unwrap();
        assert!(memory.write(a + 97, &[0; 4]).is_err() && memory.write(b, &[0]).is_err());
        let c = memory.allocate(100);
        memory.copy(c, a + 90, 10).unwrap();
        memory.copy(c + 50, c, 10).unwrap();
        let mut read = [0; 4];
        memory.read(c + 56, &mut read).unwrap();
        assert_eq!(read, [1, 2, 3, 4]);
        memory.free(a).unwrap();
        assert!(memory.free(a).is_err() && memory.read(a, &mut read).is_err());
        assert!(memory.allocate(100) > c);
    }
}
