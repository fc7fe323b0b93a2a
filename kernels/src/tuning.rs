//! Which configuration a kernel of the CPU takes: what a search found for its size, else the first of a cost
//! model.

use std::hash::Hash;
use std::sync::{OnceLock, PoisonError, RwLock};

use kernelsmith::prelude::*;
use kernelsmith::tune::{Mode, Tuner};
use rustc_hash::FxHashMap;

use crate::error::Error;

/// Choices that are remembered at most: a program of more shapes than that chooses anew.
const MOST: usize = 4096;

/// Cycles until a thread of the pool is awake.
const WAKING: f64 = 50e3;

/// What somebody who needs a choice says besides what it depends on.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    /// A search is asked for.
    pub(crate) tuned: bool,
    /// There is little to choose: nobody looks for records unasked.
    pub(crate) small: bool,
}

/// The choices of this process, by what they depend on.
pub(crate) struct Choices<K, C>(OnceLock<RwLock<FxHashMap<(K, bool), C>>>);

impl<K: Copy + Eq + Hash, C: Copy> Choices<K, C> {
    pub(crate) const fn new() -> Choices<K, C> {
        Choices(OnceLock::new())
    }

    /// The choice for `key`: a remembered one, else what `found` gets of a tuner, by a search if it is told so
    /// and else from records, and last the model's `first`.
    pub(crate) fn choose(
        &self,
        device: &Device,
        key: K,
        wanted: Wanted,
        found: impl FnOnce(Tuner<'static>, bool) -> Result<Option<C>, Error>,
        first: impl FnOnce() -> C,
    ) -> Result<C, Error> {
        let all = self.0.get_or_init(RwLock::default);
        let known = all.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(&choice) = known.get(&(key, wanted.tuned)) {
            return Ok(choice);
        }
        drop(known);
        let found = match mode(wanted)? {
            Mode::Off => None,
            mode => found(Tuner::new(device).mode(mode), mode == Mode::Search)?,
        };
        let choice = found.unwrap_or_else(first);
        let mut all = all.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.clear();
        }
        all.insert((key, wanted.tuned), choice);
        // What a search found holds for whoever does not ask for one, too.
        all.insert((key, false), choice);
        Ok(choice)
    }
}

/// What is done for a choice, by the environment and who wants it.
fn mode(wanted: Wanted) -> Result<Mode, Error> {
    if wanted.small && !wanted.tuned {
        return Ok(Mode::Off);
    }
    Ok(match (Mode::from_env()?, wanted.tuned) {
        (Mode::Off, _) => Mode::Off,
        (_, true) => Mode::Search,
        (mode, false) => mode,
    })
}

/// Sizes that share a record: rounded up to a power of two.
pub(crate) fn rounded(size: usize) -> usize {
    size.checked_next_power_of_two().unwrap_or(size)
}

/// Cycles of work in so many blocks when threads divide it. The one that launches begins at once.
pub(crate) fn divided(cycles: f64, blocks: usize, threads: usize) -> f64 {
    let busy = threads.min(blocks);
    if busy <= 1 || cycles < WAKING {
        return cycles;
    }
    // Half a block is waited for at the end, on average, if there are few to a thread.
    let each = (blocks as f64 / threads as f64).clamp(0.25, 4.0);
    WAKING + (cycles - WAKING) / busy as f64 * (1.0 + 0.125 / each)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_made_once_and_a_search_holds_for_all() {
        let (all, device) = (Choices::<u8, u8>::new(), Device::cpu());
        let wanted = |tuned| Wanted { tuned, small: true };
        let never = |_: Tuner<'static>, _| -> Result<Option<u8>, Error> { unreachable!() };
        // Unasked, small work looks for nothing.
        assert_eq!(all.choose(&device, 1, wanted(false), never, || 10).unwrap(), 10);
        assert_eq!(all.choose(&device, 1, wanted(false), never, || 11).unwrap(), 10);
        let Ok(Mode::Cached | Mode::Search) = Mode::from_env() else { return };
        let found = |_: Tuner<'static>, search: bool| Ok(search.then_some(20));
        assert_eq!(all.choose(&device, 1, wanted(true), found, || 12).unwrap(), 20);
        for tuned in [false, true] {
            assert_eq!(all.choose(&device, 1, wanted(tuned), never, || 13).unwrap(), 20);
        }
        // An error is no choice.
        let failing = |_: Tuner<'static>, _| {
            let rule = "none".to_owned();
            Err(Error::Shape { argument: "x", found: rule.clone(), rule })
        };
        assert!(all.choose(&device, 2, wanted(true), failing, || 14).is_err());
        assert_eq!(all.choose(&device, 2, wanted(false), never, || 15).unwrap(), 15);
    }

    #[test]
    fn work_is_divided_among_threads() {
        assert_eq!(divided(1e3, 8, 2), 1e3);
        assert_eq!(divided(1e7, 1, 2), 1e7);
        assert!(divided(1e7, 8, 2) < 0.6e7);
        assert!(divided(1e7, 2, 2) > divided(1e7, 8, 2));
    }
}
