//! What a search tells while it runs.

use std::fmt;
use std::time::Duration;

/// A step of a choice. Candidates are named as `{:?}` prints them.
#[derive(Clone, Copy, PartialEq, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// What was found before is used.
    Recorded {
        /// The candidate.
        candidate: &'a str,
    },
    /// There is a record, and it does not hold any more.
    Refused {
        /// What differs.
        reason: &'a str,
    },
    /// A search begins.
    Began {
        /// How many candidates it will try.
        candidates: usize,
        /// How many there are.
        of: usize,
        /// How long it may take.
        limit: Duration,
    },
    /// A candidate cannot be: it is left out.
    Failed {
        /// The candidate.
        candidate: &'a str,
        /// Why.
        error: &'a str,
    },
    /// A candidate was measured.
    Measured {
        /// The candidate.
        candidate: &'a str,
        /// One launch, this time.
        time: Duration,
        /// The least of any candidate so far.
        least: Duration,
        /// Candidates that are still in the running.
        left: usize,
    },
    /// A candidate is so much slower than another that it is not measured again.
    Dropped {
        /// The candidate.
        candidate: &'a str,
        /// Its best time.
        time: Duration,
    },
    /// The search is over.
    Ended {
        /// The winner.
        candidate: &'a str,
        /// Its best time.
        time: Duration,
        /// The best time of the first candidate, unless it failed.
        first: Option<Duration>,
        /// How many candidates were measured.
        measured: usize,
        /// How long the search took.
        took: Duration,
        /// Whether candidates are left because the time was up.
        cut_short: bool,
    },
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Event::Recorded { candidate } => write!(f, "recorded: {candidate}"),
            Event::Refused { reason } => write!(f, "the record is refused: {reason}"),
            Event::Began { candidates, of, limit } => {
                write!(f, "measuring {candidates} of {of} candidates for at most {limit:.1?}")
            }
            Event::Failed { candidate, error } => write!(f, "{candidate} is left out: {error}"),
            Event::Measured { candidate, time, least, left } => {
                write!(f, "{candidate}: {time:.1?} (least {least:.1?}, {left} left)")
            }
            Event::Dropped { candidate, time } => write!(f, "{candidate} dropped at {time:.1?}"),
            Event::Ended { candidate, time, first, measured, took, cut_short } => {
                write!(f, "{candidate}: {time:.1?}")?;
                if let Some(first) = first {
                    let times = first.as_secs_f64() / time.as_secs_f64().max(1e-12);
                    write!(f, ", {times:.2} times as fast as the first")?;
                }
                write!(f, "; {measured} measured in {took:.1?}")?;
                if cut_short { f.write_str(", cut short") } else { Ok(()) }
            }
        }
    }
}

/// What is told where nobody listens: if `KERNELSMITH_TUNE_PROGRESS` asks for it, a line for each search
/// and each record that does not hold.
pub(super) fn to_standard_error(name: &str, event: &Event<'_>) {
    let asked = std::env::var_os("KERNELSMITH_TUNE_PROGRESS");
    let asked = asked.is_some_and(|value| !value.is_empty() && value != "0");
    if asked && matches!(event, Event::Refused { .. } | Event::Ended { .. }) {
        eprintln!("kernelsmith: tuning {name}: {event}");
    }
}
