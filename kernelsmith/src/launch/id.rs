//! What makes two launches the same kernel.

use std::any::TypeId;
use std::hash::{Hash, Hasher};

/// The identity of a kernel's staging function with its type and const arguments: each has a type
/// of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct StageId(TypeId);

impl StageId {
    /// Of a function item.
    pub fn of<F: 'static>(_: &F) -> StageId {
        StageId(TypeId::of::<F>())
    }
}

/// The identity and the comptime arguments, the latter as 128 bits of hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Key {
    id: StageId,
    comptime: [u64; 2],
}

impl Key {
    pub(crate) fn new(id: StageId) -> Key {
        Key { id, comptime: [0; 2] }
    }

    /// Adds a comptime argument.
    pub(crate) fn add<T: Hash>(&mut self, value: &T) {
        let mut lanes = Lanes(self.comptime);
        value.hash(&mut lanes);
        // Where a value ends is part of it: `("a", "bc")` is not `("ab", "c")`.
        lanes.mix(u64::MAX);
        self.comptime = lanes.0;
    }
}

/// 128 bits of hash in one pass, for values that nobody chooses to collide: each word is multiplied into
/// two states of 64 bits, of which the product's upper half comes back to the lower.
struct Lanes([u64; 2]);

impl Lanes {
    fn mix(&mut self, word: u64) {
        // Odd, without pattern: the fractions of the golden ratio and of the root of 3.
        const FACTORS: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xbb67_ae85_84ca_a73b];
        for (lane, factor) in self.0.iter_mut().zip(FACTORS) {
            let product = u128::from(*lane ^ word ^ factor.rotate_left(32)) * u128::from(factor);
            // Adding the state keeps what a product of 0 would lose.
            *lane = lane.rotate_left(29).wrapping_add((product >> 64) as u64 ^ product as u64);
        }
    }
}

impl Hasher for Lanes {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
        self.mix(bytes.len() as u64);
    }

    fn write_u8(&mut self, x: u8) {
        self.mix(x.into());
    }

    fn write_u32(&mut self, x: u32) {
        self.mix(x.into());
    }

    fn write_u64(&mut self, x: u64) {
        self.mix(x);
    }

    fn write_usize(&mut self, x: usize) {
        self.mix(x as u64);
    }

    fn finish(&self) -> u64 {
        self.0[0]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn key<T: Hash + 'static>(values: &[T]) -> [u64; 2] {
        let mut key = Key::new(StageId::of(&key::<T>));
        values.iter().for_each(|value| key.add(value));
        key.comptime
    }

    #[test]
    fn values_that_differ_have_keys_that_do_in_both_halves() {
        let mut seen = [HashSet::new(), HashSet::new()];
        let mut add = |key: [u64; 2]| {
            for (seen, half) in seen.iter_mut().zip(key) {
                assert!(seen.insert(half));
            }
        };
        (0..30_000u64).for_each(|n| add(key(&[n])));
        (0..30_000u64).for_each(|n| add(key(&[n << 40, n])));
        (0..200u8).for_each(|n| (0..200u8).for_each(|m| add(key(&[(n, m, n > m)]))));
        ["", "a", "ab", "abcdefgh", "abcdefghi"].iter().for_each(|text| add(key(&[text])));
        add(key(&["a", "bc"]));
        add(key(&["ab", "c"]));
        assert_eq!(key(&[1, 2]), key(&[1, 2]));
    }
}
