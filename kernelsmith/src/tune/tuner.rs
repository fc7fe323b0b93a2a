//! The way from a list of candidates to one of them.

use std::fmt::{Debug, Display};
use std::time::Duration;

use kernelsmith_ir::Kernel;
use kernelsmith_runtime::cache::{Cache, KeyBuilder};

use super::launches::Launches;
use super::progress::to_standard_error;
use super::record::{Record, folder, key};
use super::search::{Bounds, State, Step, search};
use super::{Event, Mode};
use crate::{Device, Error};

/// Whoever is told what happens.
type Listener<'a> = dyn FnMut(&Event<'_>) + 'a;

/// Chooses among configurations of a kernel; see the [module](super).
#[must_use = "a candidate is chosen when `run` is called"]
pub struct Tuner<'a, C = ()> {
    device: Device,
    name: String,
    shape: Vec<usize>,
    version: String,
    bounds: Bounds,
    mode: Option<Mode>,
    anew: bool,
    cache: Cache,
    candidates: Vec<C>,
    progress: Option<Box<Listener<'a>>>,
}

/// What was chosen.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Tuned<C> {
    /// The candidate.
    pub config: C,
    /// Why this one.
    pub origin: Origin,
    /// Of a search, what became of each candidate, in their order.
    pub trials: Vec<Trial>,
}

/// Why a candidate was chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// It is the first.
    First,
    /// It won an earlier search.
    Record,
    /// It won the search.
    Search,
}

/// A candidate of a search.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Trial {
    /// The candidate, as `{:?}` prints it.
    pub candidate: String,
    /// Its best time, or why it was left out; neither if its turn did not come.
    pub result: Option<Result<Duration, String>>,
}

impl<'a> Tuner<'a> {
    /// For a device. There is no candidate yet.
    pub fn new(device: &Device) -> Tuner<'a> {
        Tuner {
            device: device.clone(),
            name: String::new(),
            shape: Vec::new(),
            version: String::new(),
            bounds: Bounds { time: Duration::from_secs(3), candidates: 32 },
            mode: None,
            anew: false,
            cache: Cache::from_env().clone(),
            candidates: Vec::new(),
            progress: None,
        }
    }
}

impl<'a, C> Tuner<'a, C> {
    /// Names what is tuned, and the shape it is tuned for. Shapes for which the same candidate is best may
    /// share a key: round them.
    pub fn key(self, name: impl Into<String>, shape: &[usize]) -> Self {
        Tuner { name: name.into(), shape: shape.to_vec(), ..self }
    }

    /// Sets the version of the kernel, a text that changes whenever the kernel does: records of another
    /// version are refused. [`version_of`](super::version_of) makes one of source files.
    pub fn version(self, version: impl Display) -> Self {
        Tuner { version: version.to_string(), ..self }
    }

    /// Takes the IR of the kernel, with any candidate, as its version ([`Launch::ir`](crate::Launch::ir)).
    pub fn kernel(self, kernel: &Kernel) -> Self {
        self.version(KeyBuilder::new().field("ir", kernel.to_string()).finish())
    }

    /// Sets how long a search may take, 3 s at first. It ends with the launch that is running then.
    pub fn limit(mut self, time: Duration) -> Self {
        self.bounds.time = time;
        self
    }

    /// Sets how many candidates a search tries, 32 at first: the first ones of the list.
    pub fn most(mut self, candidates: usize) -> Self {
        self.bounds.candidates = candidates.max(1);
        self
    }

    /// Sets the mode, which else the environment chooses.
    pub fn mode(self, mode: Mode) -> Self {
        Tuner { mode: Some(mode), ..self }
    }

    /// Searches, whatever was found before.
    pub fn anew(self) -> Self {
        Tuner { mode: Some(Mode::Search), anew: true, ..self }
    }

    /// Keeps records below another folder than the environment's.
    pub fn cache(self, cache: &Cache) -> Self {
        Tuner { cache: cache.clone(), ..self }
    }

    /// Listens to what happens, in place of the line on standard error that `KERNELSMITH_TUNE_PROGRESS`
    /// asks for.
    pub fn progress(self, listener: impl FnMut(&Event<'_>) + 'a) -> Self {
        Tuner { progress: Some(Box::new(listener)), ..self }
    }

    /// Sets the candidates, the most promising first. They are told apart, also in records, by what `{:?}`
    /// prints.
    pub fn candidates<D: Debug>(self, candidates: impl IntoIterator<Item = D>) -> Tuner<'a, D> {
        let Tuner { device, name, shape, version, bounds, mode, anew, cache, progress, .. } = self;
        let candidates = candidates.into_iter().collect();
        Tuner { device, name, shape, version, bounds, mode, anew, cache, candidates, progress }
    }
}

impl<C: Debug> Tuner<'_, C> {
    /// What an earlier search found, if it still holds and the mode allows it. Launches nothing.
    ///
    /// # Errors
    /// If `KERNELSMITH_TUNE` is nothing known.
    pub fn recorded(mut self) -> Result<Option<C>, Error> {
        if self.chosen_mode()? == Mode::Off {
            return Ok(None);
        }
        Ok(self.find_record().map(|i| self.candidates.swap_remove(i)))
    }

    /// Chooses a candidate. `launch` launches one of them on the device's default stream, the same work
    /// each time it is called, so it must not build upon its own results. A candidate of which it, or a
    /// check in the kernel, gives an error is left out.
    ///
    /// Where there is nothing to search for, nothing is launched.
    ///
    /// # Errors
    /// There is no candidate; `KERNELSMITH_TUNE` is nothing known; of a search in which no candidate ran,
    /// the error of the first.
    pub fn run<E>(mut self, launch: impl FnMut(&C) -> Result<(), E>) -> Result<Tuned<C>, E>
    where
        E: From<Error> + Display,
    {
        let mode = self.chosen_mode()?;
        if self.candidates.is_empty() {
            let (argument, value) = ("candidates".to_owned(), "empty".to_owned());
            let rule = "there must be one to choose".to_owned();
            return Err(Error::Argument { argument, value, rule }.into());
        }
        let found = if mode == Mode::Off || self.anew { None } else { self.find_record() };
        match found {
            Some(i) => Ok(self.tuned(i, Origin::Record, Vec::new())),
            None if mode != Mode::Search => Ok(self.tuned(0, Origin::First, Vec::new())),
            None => self.search(launch),
        }
    }

    fn chosen_mode(&self) -> Result<Mode, Error> {
        self.mode.map_or_else(Mode::from_env, Ok)
    }

    fn tuned(mut self, i: usize, origin: Origin, trials: Vec<Trial>) -> Tuned<C> {
        Tuned { config: self.candidates.swap_remove(i), origin, trials }
    }

    fn tell(&mut self, event: &Event<'_>) {
        match &mut self.progress {
            Some(listener) => listener(event),
            None => to_standard_error(&format!("{} {:?}", self.name, self.shape), event),
        }
    }

    /// All that results depend on.
    fn identity(&self) -> Vec<(String, String)> {
        let parts = self.device.identity().into_iter();
        let parts = parts.chain([("kernel", self.version.clone())]);
        // As they are read back.
        parts
            .map(|(name, value)| (name.to_owned(), value.replace(['\n', '\t', '\r'], " ")))
            .collect()
    }

    /// The candidate of a record that holds.
    fn find_record(&mut self) -> Option<usize> {
        let identity = self.identity();
        let bytes = folder(&self.cache).get(&key(&self.name, &self.shape, &identity))?;
        let refused = match Record::parse(&bytes) {
            None => "it cannot be read".to_owned(),
            Some(record) => match record.outdated(&identity) {
                Some(reason) => reason,
                None => {
                    let is_best = |candidate: &C| name(candidate) == record.best;
                    let found = self.candidates.iter().position(is_best);
                    if let Some(i) = found {
                        self.tell(&Event::Recorded { candidate: &record.best });
                        return Some(i);
                    }
                    format!("`{}` is no candidate any more", record.best)
                }
            },
        };
        self.tell(&Event::Refused { reason: &refused });
        None
    }

    fn search<E>(mut self, launch: impl FnMut(&C) -> Result<(), E>) -> Result<Tuned<C>, E>
    where
        E: From<Error> + Display,
    {
        let (of, bounds) = (self.candidates.len(), self.bounds);
        let candidates = of.min(bounds.candidates);
        self.tell(&Event::Began { candidates, of, limit: bounds.time });
        let names: Vec<String> = self.candidates.iter().map(name).collect();
        // Apart from the tuner while both are used.
        let all = std::mem::take(&mut self.candidates);
        let device = self.device.clone();
        let mut bench = Launches::new(&device, &all, launch);
        let found = search(of, bounds, &mut bench, &mut |step| match step {
            Step::Failed(i, error) => {
                self.tell(&Event::Failed { candidate: &names[i], error: &error.to_string() });
            }
            Step::Measured(i, time, least, left) => {
                self.tell(&Event::Measured { candidate: &names[i], time, least, left });
            }
            Step::Dropped(i, time) => self.tell(&Event::Dropped { candidate: &names[i], time }),
        });
        self.candidates = all;
        let (took, cut_short) = (found.took, found.cut_short);
        let Some(best) = found.best else {
            let failed = found.states.into_iter().find_map(|state| match state {
                State::Failed(error) => Some(error),
                _ => None,
            });
            return Err(failed.expect("none ran, and the first was tried"));
        };
        let times: Vec<_> = found.states.iter().map(State::time).collect();
        let (time, first) = (times[best].expect("the best was measured"), times[0]);
        let measured = times.iter().flatten().count();
        let candidate = &names[best];
        self.tell(&Event::Ended { candidate, time, first, measured, took, cut_short });
        self.keep(candidate, time, first, measured);
        let results = found.states.into_iter().map(|state| match state {
            State::Untried => None,
            State::Failed(error) => Some(Err(error.to_string())),
            State::Timed(time) => Some(Ok(time)),
        });
        let trials = names.into_iter().zip(results);
        let trials = trials.map(|(candidate, result)| Trial { candidate, result }).collect();
        Ok(self.tuned(best, Origin::Search, trials))
    }

    fn keep(&self, best: &str, time: Duration, first: Option<Duration>, measured: usize) {
        let (name, shape, identity) = (self.name.clone(), self.shape.clone(), self.identity());
        let place = key(&name, &shape, &identity);
        let best = best.to_owned();
        let record = Record { name, shape, identity, best, time, first, measured };
        folder(&self.cache).put(&place, record.text().as_bytes());
    }
}

/// A candidate's name, on one line.
fn name(candidate: &impl Debug) -> String {
    format!("{candidate:?}").replace(['\n', '\t', '\r'], " ")
}
