//! What a cache entry is found by.

use std::fmt;

use sha2::{Digest, Sha256};

/// SHA-256 of everything a compiled kernel depends on.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; 32]);

impl Key {
    /// The key of a hash.
    pub(super) fn of_bytes(hash: [u8; 32]) -> Key {
        Key(hash)
    }

    /// The hash.
    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

/// Collects what a [`Key`] is made of.
#[derive(Clone)]
pub struct KeyBuilder(Sha256);

impl KeyBuilder {
    /// Nothing yet.
    #[allow(clippy::new_without_default)]
    pub fn new() -> KeyBuilder {
        KeyBuilder(Sha256::new())
    }

    /// Adds a named field. Lengths are hashed along, so no two lists of fields run together.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl AsRef<[u8]>) -> KeyBuilder {
        for part in [name.as_bytes(), value.as_ref()] {
            self.0.update((part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
        self
    }

    /// The key.
    pub fn finish(self) -> Key {
        Key(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_run_together() {
        let key = |fields: &[(&str, &str)]| {
            fields.iter().fold(KeyBuilder::new(), |k, (n, v)| k.field(n, v)).finish()
        };
        let keys = [
            key(&[("ir", "ab"), ("target", "c")]),
            key(&[("ir", "a"), ("target", "bc")]),
            key(&[("ir", "ab"), ("targetc", "")]),
            key(&[("target", "c"), ("ir", "ab")]),
            key(&[]),
        ];
        for (i, a) in keys.iter().enumerate() {
            for b in &keys[..i] {
                assert_ne!(a, b);
            }
        }
        assert_eq!(keys[0], key(&[("ir", "ab"), ("target", "c")]));
        assert_eq!(keys[0].to_string().len(), 64);
    }
}
