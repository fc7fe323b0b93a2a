//! Comparing in one run: the candidates take turns, so that noise and clocks fall on all alike.

use std::thread;
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

/// How long a candidate has a turn: calls that follow each other find caches and threads as they left
/// them.
pub const TURN: Duration = Duration::from_millis(20);

/// How long nothing runs before a turn: threads of whoever came before spin for their next work for a while.
const PAUSE: Duration = Duration::from_millis(40);

/// The best time of each candidate, which takes its turn and says what its best call took, in rounds
/// until `budget` is over; `least` rounds at any rate.
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
            thread::sleep(PAUSE);
            *best = candidate().min(*best);
        }
        rounds += 1;
    }
    best
}

/// A turn: the best of the calls that it has time for, one at least.
pub fn turn(mut call: impl FnMut()) -> Duration {
    let (start, mut best) = (Instant::now(), Duration::MAX);
    while best == Duration::MAX || start.elapsed() < TURN {
        best = timed(&mut call).min(best);
    }
    best
}

/// How long a call takes.
pub fn timed(mut call: impl FnMut()) -> Duration {
    let start = Instant::now();
    call();
    start.elapsed()
}
