//! Candidates as a search measures them: launches on a device, and its clock.

use std::time::{Duration, Instant};

use super::search::Bench;
use crate::{Device, Error};

/// Launches on a device, and its clock.
pub(super) struct Launches<'a, C, F> {
    device: &'a Device,
    candidates: &'a [C],
    launch: F,
    /// How often each candidate is launched for one measurement.
    repeats: Vec<u32>,
    begun: Instant,
}

/// What a measurement takes at least: the clock and waiting for a GPU are small beside it.
const SAMPLE: Duration = Duration::from_micros(500);

impl<'a, C, E: From<Error>, F: FnMut(&C) -> Result<(), E>> Launches<'a, C, F> {
    pub(super) fn new(device: &'a Device, candidates: &'a [C], launch: F) -> Launches<'a, C, F> {
        let repeats = vec![1; candidates.len()];
        Launches { device, candidates, launch, repeats, begun: Instant::now() }
    }

    fn times(&mut self, i: usize, repeats: u32) -> Result<Duration, E> {
        let start = Instant::now();
        for _ in 0..repeats {
            (self.launch)(&self.candidates[i])?;
        }
        self.device.synchronize().map_err(Error::from)?;
        Ok(start.elapsed() / repeats)
    }
}

impl<C, E: From<Error>, F: FnMut(&C) -> Result<(), E>> Bench for Launches<'_, C, F> {
    type Error = E;

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    fn warm_up(&mut self, i: usize) -> Result<(), E> {
        // The first launch compiles, the second tells how long one takes.
        self.times(i, 1)?;
        let once = self.times(i, 1)?.as_nanos().max(1);
        self.repeats[i] = (SAMPLE.as_nanos() / once).clamp(1, 1000) as u32;
        Ok(())
    }

    fn measure(&mut self, i: usize) -> Result<Duration, E> {
        self.times(i, self.repeats[i])
    }
}
