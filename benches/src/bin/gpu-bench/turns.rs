//! Timing in turns, by the device's own clock.

use std::time::Duration;

use kernelsmith::Device;

use super::Outcome;

/// How long a turn lasts, so that events around it cost little; how long all turns of all last.
const TURN: Duration = Duration::from_micros(300);
const ALL: Duration = Duration::from_millis(150);

/// Calls of a turn, and rounds, whatever a call takes.
const CALLS: u128 = 32;
const ROUNDS: (u128, u128) = (7, 25);

/// The median time of a call of each candidate, over rounds in which each has a turn: noise and clocks fall
/// on all alike. Candidates are given the call's number, by which they rotate their inputs.
pub(crate) fn medians(
    device: &Device,
    candidates: &mut [&mut dyn FnMut(usize) -> Outcome<()>],
) -> Outcome<Vec<Duration>> {
    let mut number = 0;
    let mut turn = |candidate: &mut dyn FnMut(usize) -> Outcome<()>, calls: u128| {
        let stream = device.default_stream();
        let start = stream.record()?;
        for _ in 0..calls {
            candidate(number)?;
            number += 1;
        }
        let end = stream.record()?;
        device.synchronize()?;
        Outcome::Ok(end.elapsed_since(&start)?.div_f64(calls as f64))
    };
    let mut once = Vec::new();
    for candidate in candidates.iter_mut() {
        // The first call compiles and warms up.
        turn(*candidate, 1)?;
        once.push(turn(*candidate, 1)?.as_nanos().max(1));
    }
    let calls: Vec<u128> =
        once.iter().map(|&time| (TURN.as_nanos() / time).clamp(1, CALLS)).collect();
    let round: u128 = once.iter().zip(&calls).map(|(time, calls)| time * calls).sum();
    let rounds = (ALL.as_nanos() / round.max(1)).clamp(ROUNDS.0, ROUNDS.1);
    let mut times = vec![Vec::new(); candidates.len()];
    for _ in 0..rounds {
        for (i, candidate) in candidates.iter_mut().enumerate() {
            times[i].push(turn(*candidate, calls[i])?);
        }
    }
    Ok(times.into_iter().map(median).collect())
}

/// The middle one of some times.
pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
