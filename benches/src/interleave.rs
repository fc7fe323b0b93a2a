//! Comparing in one run: the candidates take turns, so that noise and clocks fall on all alike.

use std::time::{Duration, Instant};

/// The best time of each candidate over rounds in which each runs once.
pub fn best_of(rounds: usize, candidates: &mut [&mut dyn FnMut()]) -> Vec<Duration> {
    let mut best = vec![Duration::MAX; candidates.len()];
    for _ in 0..rounds {
        for (best, candidate) in best.iter_mut().zip(candidates.iter_mut()) {
            let start = Instant::now();
            candidate();
            *best = start.elapsed().min(*best);
        }
    }
    best
}
