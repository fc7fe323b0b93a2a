//! The format of a cache file: a header, then the payload.
//!
//! | bytes  | what                                         |
//! |--------|----------------------------------------------|
//! | 0..4   | `KSC` and the format's version               |
//! | 4..36  | the key, so that a renamed file is not taken |
//! | 36..68 | SHA-256 of the payload                       |
//! | 68..   | the payload                                  |

use sha2::{Digest, Sha256};

use super::Key;

const MAGIC: [u8; 4] = *b"KSC\x01";
const HEADER: usize = 68;

/// The file's bytes.
pub(super) fn encode(key: &Key, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(key.bytes());
    bytes.extend_from_slice(&Sha256::digest(payload));
    bytes.extend_from_slice(payload);
    bytes
}

/// The payload, if the file is whole and belongs to the key.
pub(super) fn decode(key: &Key, mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    let (header, payload) = bytes.split_at_checked(HEADER)?;
    let whole = header[..4] == MAGIC
        && header[4..36] == *key.bytes()
        && header[36..] == *Sha256::digest(payload);
    if !whole {
        return None;
    }
    bytes.drain(..HEADER);
    Some(bytes)
}

/// The payload, if the file is whole, whatever its key.
pub(super) fn decode_any(bytes: Vec<u8>) -> Option<Vec<u8>> {
    let key = Key::of_bytes(bytes.get(4..36)?.try_into().ok()?);
    decode(&key, bytes)
}

#[cfg(test)]
mod tests {
    use super::super::KeyBuilder;
    use super::*;

    #[test]
    fn any_damage_is_noticed() {
        let key = KeyBuilder::new().field("ir", "kernel").finish();
        let payload: Vec<u8> = (0..=255).collect();
        let whole = encode(&key, &payload);
        assert_eq!(decode(&key, whole.clone()), Some(payload.clone()));
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&key, damaged), None, "bit {bit}");
        }
        for len in 0..whole.len() {
            assert_eq!(decode(&key, whole[..len].to_vec()), None, "length {len}");
        }
        let longer = [&whole[..], b"x"].concat();
        assert_eq!(decode(&key, longer), None);
        let other = KeyBuilder::new().field("ir", "other").finish();
        assert_eq!(decode(&other, whole), None);
        assert_eq!(decode(&key, encode(&key, &[])), Some(Vec::new()));
    }
}
