//! What memory can do.

use rayon::prelude::*;

/// Reads words as fast as the machine does, a part on each thread of the current pool.
pub fn read(words: &[u64]) -> u64 {
    let part = words.len().div_ceil(rayon::current_num_threads());
    let sum = |part: &[u64]| part.iter().fold(0u64, |a, b| a.wrapping_add(*b));
    words.par_chunks(part).map(sum).sum()
}
