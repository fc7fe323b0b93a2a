//! Freed memory kept for the next buffer of its size.
//!
//! The operating system takes a page fault for every new page, some 0.2 us a KiB: more than many a kernel
//! takes for what it writes there. Programs ask for the same sizes over and over.

use std::sync::Mutex;

use crate::sync::lock;

/// Smaller allocations are the allocator's own business.
const LEAST: usize = 64 << 10;

/// Bytes kept at most.
const MOST: usize = 256 << 20;

/// Freed blocks, the latest last.
#[derive(Default)]
pub(super) struct Pool(Mutex<Vec<Block>>);

/// An address and how many bytes there are.
type Block = (u64, usize);

impl Pool {
    /// The block of this size that was freed last.
    pub(super) fn take(&self, bytes: usize) -> Option<u64> {
        if bytes < LEAST {
            return None;
        }
        let mut blocks = lock(&self.0);
        let at = blocks.iter().rposition(|block| block.1 == bytes)?;
        Some(blocks.remove(at).0)
    }

    /// Keeps a block; gives back those that are now too many: the oldest, or this one.
    pub(super) fn put(&self, address: u64, bytes: usize) -> Vec<Block> {
        if !(LEAST..=MOST).contains(&bytes) {
            return vec![(address, bytes)];
        }
        let mut blocks = lock(&self.0);
        blocks.push((address, bytes));
        let mut sum: usize = blocks.iter().map(|block| block.1).sum();
        let mut out = Vec::new();
        while sum > MOST {
            let oldest = blocks.remove(0);
            sum -= oldest.1;
            out.push(oldest);
        }
        out
    }

    /// Everything.
    pub(super) fn drain(&self) -> Vec<Block> {
        std::mem::take(&mut lock(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_back_by_size_and_the_oldest_go() {
        let pool = Pool::default();
        assert_eq!(pool.put(1, LEAST - 1), [(1, LEAST - 1)]);
        assert_eq!(pool.put(2, MOST + 1), [(2, MOST + 1)]);
        assert_eq!(pool.put(3, LEAST), []);
        assert_eq!(pool.put(4, MOST / 2), []);
        assert_eq!(pool.take(LEAST - 1), None);
        assert_eq!(pool.take(MOST), None);
        assert_eq!(pool.put(5, MOST / 2), [(3, LEAST)]);
        assert_eq!(pool.take(MOST / 2), Some(5));
        assert_eq!(pool.take(MOST / 2), Some(4));
        assert_eq!(pool.take(MOST / 2), None);
        assert_eq!(pool.put(6, LEAST), []);
        assert_eq!(pool.drain(), [(6, LEAST)]);
    }
}
