//! Searches with a clock that stands where it is told, records in folders of their own, one search for real.

use std::collections::HashMap;
use std::time::Duration;

use kernelsmith_runtime::cache::Cache;

use super::record::{folder, key, records_of};
use super::search::{Bench, Bounds, Found, Step, search};
use super::*;
use crate::{Device, Error};

/// Candidates by their time, or that they fail; each measurement takes that time on the clock, a warm-up
/// ten times as long.
struct Fake {
    now: Duration,
    times: Vec<Result<u64, &'static str>>,
    /// Measurements of each.
    measured: Vec<usize>,
    /// Noise: added to measurements in turn.
    noise: Vec<u64>,
}

impl Fake {
    fn new(times: &[Result<u64, &'static str>]) -> Fake {
        let (times, measured) = (times.to_vec(), vec![0; times.len()]);
        Fake { now: Duration::ZERO, times, measured, noise: vec![0] }
    }

    fn of(times: &[u64]) -> Fake {
        Fake::new(&times.iter().copied().map(Ok).collect::<Vec<_>>())
    }

    fn search(&mut self, micros: u64, candidates: usize) -> Found<&'static str> {
        let bounds = Bounds { time: Duration::from_micros(micros), candidates };
        search(self.times.len(), bounds, self, &mut |_| ())
    }
}

impl Bench for Fake {
    type Error = &'static str;

    fn now(&self) -> Duration {
        self.now
    }

    fn warm_up(&mut self, i: usize) -> Result<(), &'static str> {
        self.now += Duration::from_micros(10 * self.times[i]?);
        Ok(())
    }

    fn measure(&mut self, i: usize) -> Result<Duration, &'static str> {
        let turn = self.measured.iter().sum::<usize>() % self.noise.len();
        self.measured[i] += 1;
        let time = Duration::from_micros(self.times[i]? + self.noise[turn]);
        self.now += time;
        Ok(time)
    }
}

const LONG: u64 = 1_000_000_000;

#[test]
fn the_least_wins_and_the_slow_are_left_alone() {
    let mut fake = Fake::of(&[100, 90, 400, 80, 130]);
    let found = fake.search(LONG, 9);
    assert_eq!((found.best, found.cut_short), (Some(3), false));
    // Clearly worse: one measurement. A little worse: some. The winner: most.
    assert_eq!(fake.measured[2], 1);
    assert!(fake.measured[4] < fake.measured[1] && fake.measured[1] <= fake.measured[3]);
    assert_eq!(found.states[0].time(), Some(Duration::from_micros(100)));
}

#[test]
fn noise_does_not_decide() {
    let mut fake = Fake::of(&[100, 80, 95]);
    // Every other measurement is far off, and never the same candidate's.
    fake.noise = vec![0, 30, 0, 0, 40];
    assert_eq!(fake.search(LONG, 9).best, Some(1));
}

#[test]
fn of_equals_the_first_wins() {
    assert_eq!(Fake::of(&[1000, 990, 1000]).search(LONG, 9).best, Some(0));
    assert_eq!(Fake::of(&[1000, 900, 890]).search(LONG, 9).best, Some(1));
}

#[test]
fn time_and_number_are_bounded() {
    let mut fake = Fake::of(&[100; 50]);
    let found = fake.search(LONG, 8);
    assert!(
        fake.measured[..8].iter().all(|&n| n > 0) && fake.measured[8..].iter().all(|&n| n == 0)
    );
    assert!(!found.cut_short);
    // Half of the time is for ten candidates' first turn, the rest for more of them.
    let mut fake = Fake::of(&[100; 50]);
    let found = fake.search(22_000, 50);
    assert!(found.cut_short && found.best == Some(0));
    assert_eq!(fake.measured.iter().filter(|&&n| n > 0).count(), 10);
    assert_eq!(fake.measured[..10], [6; 10]);
    let mut fake = Fake::of(&[100; 50]);
    let found = fake.search(11_500, 50);
    assert!(found.cut_short && found.took <= Duration::from_micros(11_500 + 1100));
    // Even with no time one candidate is measured.
    let found = Fake::of(&[100, 50]).search(0, 50);
    assert_eq!((found.best, found.states[1].time()), (Some(0), None));
}

#[test]
fn failures_are_left_out() {
    let mut fake = Fake::new(&[Err("too much memory"), Ok(100), Err("no"), Ok(50)]);
    let mut told = Vec::new();
    let bounds = Bounds { time: Duration::MAX, candidates: 9 };
    let found = search(4, bounds, &mut fake, &mut |step| {
        if let Step::Failed(i, error) = step {
            told.push((i, *error));
        }
    });
    assert_eq!((found.best, told), (Some(3), vec![(0, "too much memory"), (2, "no")]));
    let found = Fake::new(&[Err("a"), Err("b")]).search(LONG, 9);
    assert!(found.best.is_none() && !found.cut_short);
    // Those do not count as measured when the time is up.
    let found = Fake::new(&[Err("a"), Ok(5)]).search(0, 9);
    assert_eq!(found.best, Some(1));
}

/// A tuner of its own cache, what it tells as lines, and launches that sleep as long as they are told.
struct Bed {
    dir: std::path::PathBuf,
    cache: Cache,
    lines: Vec<String>,
}

impl Bed {
    fn new(name: &str) -> Bed {
        let dir = std::env::temp_dir().join(format!("kernelsmith-{}-{name}", std::process::id()));
        let cache = Cache::in_dir(&dir, 1 << 20);
        Bed { dir, cache, lines: Vec::new() }
    }

    /// Chooses between a slow and a fast candidate.
    fn choose(
        &mut self,
        mode: Mode,
        version: &str,
        candidates: &[&'static str],
    ) -> Tuned<&'static str> {
        self.lines.clear();
        let lines = &mut self.lines;
        let tuner = Tuner::new(&Device::cpu()).key("sleep", &[7, 9]).version(version).mode(mode);
        let tuner = tuner.cache(&self.cache).limit(Duration::from_secs(5));
        let tuner = tuner.progress(|event| lines.push(event.to_string()));
        let sleep = |micros| std::thread::sleep(Duration::from_micros(micros));
        tuner
            .candidates(candidates.iter().copied())
            .run(|&name| match name {
                "slow" => {
                    sleep(40_000);
                    Ok(())
                }
                "fast" => {
                    sleep(200);
                    Ok(())
                }
                other => Err(Error::Argument {
                    argument: other.to_owned(),
                    value: "broken".to_owned(),
                    rule: "must run".to_owned(),
                }),
            })
            .unwrap()
    }

    fn told(&self, part: &str) -> bool {
        self.lines.iter().any(|line| line.contains(part))
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

const BOTH: [&str; 2] = ["slow", "fast"];

#[test]
fn a_search_is_kept_and_used_until_the_kernel_changes() {
    let mut bed = Bed::new("kept");
    let first = bed.choose(Mode::Cached, "1", &BOTH);
    assert_eq!((first.config, first.origin, bed.lines.len()), ("slow", Origin::First, 0));
    let searched = bed.choose(Mode::Search, "1", &BOTH);
    assert_eq!((searched.config, searched.origin), ("fast", Origin::Search));
    assert!(searched.trials.iter().all(|trial| matches!(trial.result, Some(Ok(_)))));
    assert!(bed.told("measuring 2 of 2") && bed.told("times as fast as the first"));
    for mode in [Mode::Cached, Mode::Search] {
        let recorded = bed.choose(mode, "1", &BOTH);
        assert_eq!((recorded.config, recorded.origin), ("fast", Origin::Record));
    }
    assert_eq!(bed.choose(Mode::Off, "1", &BOTH).config, "slow");
    // Another version: refused, told, and replaced by the next search.
    let refused = bed.choose(Mode::Cached, "2", &BOTH);
    assert_eq!((refused.config, refused.origin), ("slow", Origin::First));
    assert!(bed.told("refused: kernel was `1` and is `2`"), "{:?}", bed.lines);
    assert_eq!(bed.choose(Mode::Search, "2", &BOTH).origin, Origin::Search);
    assert_eq!(bed.choose(Mode::Cached, "2", &BOTH).origin, Origin::Record);
    // A candidate that is gone.
    assert_eq!(bed.choose(Mode::Cached, "2", &["slow", "broken"]).config, "slow");
    assert!(bed.told("`\"fast\"` is no candidate any more"), "{:?}", bed.lines);
    assert_eq!(records_of(&bed.cache).len(), 1);
}

#[test]
fn records_of_another_machine_and_garbage_are_refused() {
    let mut bed = Bed::new("refused");
    bed.choose(Mode::Search, "1", &BOTH);
    let records = folder(&bed.cache);
    let all = records_of(&bed.cache);
    let [record] = &all[..] else { panic!("one record") };
    assert_eq!(
        (&*record.name, &record.shape[..], &*record.best),
        ("sleep", &[7, 9][..], "\"fast\"")
    );
    let place = key("sleep", &[7, 9], &record.identity);
    assert_eq!(Record::parse(record.text().as_bytes()).as_ref(), Some(record));
    for (what, value) in [("machine", "one core"), ("driver", "older"), ("compiler", "0.0")] {
        let mut other = record.clone();
        let part = other.identity.iter_mut().find(|(name, _)| name == what).expect(what);
        part.1 = value.to_owned();
        records.put(&place, other.text().as_bytes());
        assert_eq!(bed.choose(Mode::Cached, "1", &BOTH).origin, Origin::First, "{what}");
        assert!(bed.told(&format!("refused: {what} was `{value}`")), "{:?}", bed.lines);
    }
    let mut older = record.clone();
    older.identity.retain(|(name, _)| name != "driver");
    records.put(&place, older.text().as_bytes());
    assert_eq!(bed.choose(Mode::Cached, "1", &BOTH).origin, Origin::First);
    assert!(bed.told("it does not tell its driver"));
    for garbage in [&b""[..], b"kernelsmith tuning record 1\nname", b"\xff\xfe", b"another format"]
    {
        records.put(&place, garbage);
        assert_eq!(bed.choose(Mode::Cached, "1", &BOTH).origin, Origin::First);
        assert!(bed.told("it cannot be read"));
        // Listed by nobody, and replaced by the next search.
        assert!(records_of(&bed.cache).is_empty());
    }
    // A file that is damaged, not only its contents: as if it were not there.
    let file = std::fs::read_dir(records.dir().unwrap()).unwrap().next().unwrap().unwrap().path();
    std::fs::write(file, b"KSC").unwrap();
    assert_eq!(bed.choose(Mode::Cached, "1", &BOTH).origin, Origin::First);
    assert_eq!(bed.choose(Mode::Search, "1", &BOTH).config, "fast");
    assert_eq!(records_of(&bed.cache).len(), 1);
}

#[test]
fn what_cannot_run_is_told_and_all_of_it_is_an_error() {
    let mut bed = Bed::new("broken");
    let tuned = bed.choose(Mode::Search, "1", &["broken", "fast"]);
    assert_eq!(tuned.config, "fast");
    let broken = tuned.trials[0].result.as_ref().unwrap().as_ref().unwrap_err();
    assert!(broken.contains("must run") && bed.told("is left out: `broken` is broken"));
    let tuner = || Tuner::new(&Device::cpu()).mode(Mode::Search).cache(&bed.cache);
    let launch = |_: &u32| {
        Err(Error::Argument { argument: "x".into(), value: "1".into(), rule: "no".into() })
    };
    let error = tuner().candidates([1u32, 2]).run(launch).unwrap_err();
    assert_eq!(error.to_string(), "`x` is 1: no");
    let error = tuner().candidates([0u32; 0]).run(launch).unwrap_err();
    assert!(error.to_string().starts_with("`candidates` is empty"));
}

#[test]
fn shapes_names_and_threads_have_records_of_their_own() {
    let identity = |threads: &str, driver: &str| {
        let parts = [("device", "CPU"), ("threads", threads), ("driver", driver)];
        parts.map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let mut seen = HashMap::new();
    for (name, shape, threads) in
        [("a", &[1, 2][..], "1"), ("a", &[12], "1"), ("b", &[1, 2], "1"), ("a", &[1, 2], "2")]
    {
        let key = key(name, shape, &identity(threads, "x"));
        assert_eq!(seen.insert(key, name), None);
    }
    // What is compared, not looked up by.
    assert_eq!(key("a", &[1], &identity("1", "x")), key("a", &[1], &identity("1", "y")));
}
