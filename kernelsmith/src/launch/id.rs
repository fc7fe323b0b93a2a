//! What makes two launches the same kernel.

use std::any::TypeId;
use std::hash::{DefaultHasher, Hash, Hasher};

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
        for (seed, hash) in self.comptime.iter_mut().enumerate() {
            let mut hasher = DefaultHasher::new();
            (seed, *hash).hash(&mut hasher);
            value.hash(&mut hasher);
            *hash = hasher.finish();
        }
    }
}
