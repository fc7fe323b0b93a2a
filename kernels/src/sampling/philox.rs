//! Random numbers that are a function of a counter and a key: no state, the same on every device.

use kernelsmith::prelude::*;

/// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): four random words for
/// each counter and key.
#[device]
pub fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let mut c = counter;
    let mut k = key;
    for _ in unroll(0..10) {
        let (high0, low0) = product(c[0], 0xD251_1F53);
        let (high1, low1) = product(c[2], 0xCD9E_8D57);
        c = [high1 ^ c[1] ^ k[0], low1, high0 ^ c[3] ^ k[1], low0];
        k = [k[0] + 0x9E37_79B9, k[1] + 0xBB67_AE85];
    }
    c
}

/// Both words of a product.
#[device]
fn product(a: u32, #[comptime] b: u32) -> (u32, u32) {
    let all = a as u64 * b as u64;
    ((all >> 32) as u32, all as u32)
}

/// A uniform number from 0 to below 1, a multiple of 2^-24, of a random word.
#[device]
pub fn uniform(word: u32) -> f32 {
    (word >> 8) as f32 * (1.0 / 16_777_216.0)
}
