//! Comparing in one run: the candidates take turns, so that noise and clocks fall on all alike.

use std::time::{Duration, Instant};

/// The best time of each candidate over rounds in which each runs once.
pub fn best_of(rounds: usize, candidates: &mut [&mut dyn FnMut()]) -> Vec<Duration> {
    let mut best = vec![Duration::MAX; candidates.len()];
    for _ in 0..rounds {
        for (best, candidate) in best.iter_mut().zip(candidates.iter_mut()) {
            *best = timed(candidate).min(*best);
        }
    }
    best
}

/// The best time of each candidate, which says itself how long it took, in turns of rounds until
/// `budget` is over; `least` rounds at any rate.
pub fn best_within(
    budget: Duration,
    least: usize,
    candidates: &mut [&mut dyn FnMut() -> Duration],
) -> Vec<Duration> {
    let start = Instant::now();
    let mut best = vec![Duration::MAX; candidates.len()];
    let mut rounds = 0;
    while rounds < least || start.elapsed() < budget {
        for (best, candidate) in best.iter_mut().zip(candidates.iter_mut()) {
            *best = candidate().min(*best);
        }
        rounds += 1;
    }
    best
}

/// How long a call takes.
pub fn timed(mut call: impl FnMut()) -> Duration {
    let start = Instant::now();
    call();
    start.elapsed()
}
