//! What was chosen in this process.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{PoisonError, RwLock};

use rustc_hash::{FxBuildHasher, FxHashMap};

/// Choices by what they depend on. A launch asks for one each time: it takes no measuring, and no model.
pub(in crate::matmul) struct Choices<K, C>(RwLock<FxHashMap<K, C>>);

/// Choices that are remembered at most: a program of more shapes than that chooses anew.
const MOST: usize = 4096;

impl<K: Eq + Hash, C: Copy> Choices<K, C> {
    /// None yet.
    pub(in crate::matmul) const fn new() -> Self {
        Choices(RwLock::new(HashMap::with_hasher(FxBuildHasher)))
    }

    pub(in crate::matmul) fn get(&self, key: &K) -> Option<C> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(key).copied()
    }

    pub(in crate::matmul) fn insert(&self, key: K, choice: C) {
        let mut chosen = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if chosen.len() >= MOST {
            chosen.clear();
        }
        chosen.insert(key, choice);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_does_not_grow_for_ever() {
        static CHOICES: Choices<usize, usize> = Choices::new();
        for i in 0..=MOST {
            CHOICES.insert(i, 2 * i);
        }
        assert_eq!((CHOICES.get(&MOST), CHOICES.get(&0)), (Some(2 * MOST), None));
    }
}
