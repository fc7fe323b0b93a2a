//! The search itself: who is measured next, who is dropped, who has won. It knows neither devices nor
//! clocks.

use std::time::Duration;

/// How long a search may take, and how many candidates it tries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) time: Duration,
    pub(super) candidates: usize,
}

/// After each round a candidate stays that takes at most so many times the least. Its rounds are as many
/// as there are numbers: noise only ever adds time, so the least of a few measurements is what counts,
/// and what was far off even by a lucky measurement of another is soon left alone.
const SLACK: [f64; 6] = [1.6, 1.3, 1.15, 1.08, 1.05, 1.05];

/// Times as near as this are the same: the earlier candidate wins.
const SAME: f64 = 1.02;

/// What is searched: candidates are numbers.
pub(super) trait Bench {
    type Error;

    /// The time since some moment.
    fn now(&self) -> Duration;

    /// Runs a candidate for the first time.
    fn warm_up(&mut self, candidate: usize) -> Result<(), Self::Error>;

    /// The time of one launch.
    fn measure(&mut self, candidate: usize) -> Result<Duration, Self::Error>;
}

/// What became of a candidate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum State<E> {
    /// Its turn did not come.
    Untried,
    Failed(E),
    /// Its least time.
    Timed(Duration),
}

impl<E> State<E> {
    pub(super) fn time(&self) -> Option<Duration> {
        match self {
            State::Timed(time) => Some(*time),
            _ => None,
        }
    }
}

/// What happens on the way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step<'a, E> {
    Failed(usize, &'a E),
    /// This time, the least of all, candidates in the running.
    Measured(usize, Duration, Duration, usize),
    Dropped(usize, Duration),
}

/// How a search ended.
pub(super) struct Found<E> {
    /// The best, if any candidate ran.
    pub(super) best: Option<usize>,
    pub(super) states: Vec<State<E>>,
    pub(super) took: Duration,
    /// Whether it would have gone on if there had been time.
    pub(super) cut_short: bool,
}

/// Measures candidates `0..count`, the first `bounds.candidates` of them, in turns.
pub(super) fn search<B: Bench>(
    count: usize,
    bounds: Bounds,
    bench: &mut B,
    told: &mut dyn FnMut(Step<'_, B::Error>),
) -> Found<B::Error> {
    let begun = bench.now();
    let mut states: Vec<_> = (0..count).map(|_| State::Untried).collect();
    let mut running: Vec<usize> = (0..count.min(bounds.candidates)).collect();
    let mut cut_short = false;
    'search: for (round, slack) in SLACK.into_iter().enumerate() {
        let mut left = running.len();
        for &i in &running {
            // One candidate at least, or there would be nothing to say.
            let some = states.iter().any(|state| state.time().is_some());
            let spent = bench.now().saturating_sub(begun);
            if some && spent >= bounds.time {
                cut_short = true;
                break 'search;
            }
            // New ones take half of the time at most: one measurement of each decides nothing.
            if some && round == 0 && spent >= bounds.time / 2 {
                cut_short = true;
                break;
            }
            let warm = if round == 0 { bench.warm_up(i) } else { Ok(()) };
            match warm.and_then(|()| bench.measure(i)) {
                Ok(time) => {
                    let before = states[i].time().unwrap_or(time);
                    states[i] = State::Timed(time.min(before));
                    told(Step::Measured(i, time, least(&states).unwrap_or(time), left));
                }
                Err(error) => {
                    left -= 1;
                    told(Step::Failed(i, &error));
                    states[i] = State::Failed(error);
                }
            }
        }
        let Some(least) = least(&states) else { break };
        running.retain(|&i| {
            let Some(time) = states[i].time() else { return false };
            let stays = time.as_secs_f64() <= slack * least.as_secs_f64();
            if !stays {
                told(Step::Dropped(i, time));
            }
            stays
        });
        if running.len() == 1 && round > 0 {
            break;
        }
    }
    let near = least(&states).map(|time| time.as_secs_f64() * SAME);
    let is_near = |state: &State<_>| state.time().map(|t| t.as_secs_f64()) <= near;
    let best = states.iter().position(|state| state.time().is_some() && is_near(state));
    Found { best, states, took: bench.now().saturating_sub(begun), cut_short }
}

fn least<E>(states: &[State<E>]) -> Option<Duration> {
    states.iter().filter_map(State::time).min()
}
