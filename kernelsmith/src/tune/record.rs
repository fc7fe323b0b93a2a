//! What a search found, as it is kept: lines of a name, a tab and a text.

use std::fmt::Write as _;
use std::time::Duration;

use kernelsmith_runtime::cache::{Cache, Key, KeyBuilder};

/// The first line. Another format has another number.
const TITLE: &str = "kernelsmith tuning record 1";

/// Where records are, below the folder of compiled kernels, and their bytes at most: some thousands.
const FOLDER: &str = "tuning";
const CAPACITY: u64 = 4 << 20;

/// The result of a search.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Record {
    /// What was tuned.
    pub name: String,
    /// For which shape.
    pub shape: Vec<usize>,
    /// What the result depends on, by name: [`Device::identity`](crate::Device::identity) and the kernel's
    /// version.
    pub identity: Vec<(String, String)>,
    /// The best candidate, as `{:?}` prints it.
    pub best: String,
    /// Its time.
    pub time: Duration,
    /// The time of the candidate that is used without a search, unless that failed.
    pub first: Option<Duration>,
    /// How many candidates were measured.
    pub measured: usize,
}

/// All records of the cache that the environment chooses, by name and shape.
pub fn records() -> Vec<Record> {
    records_of(Cache::from_env())
}

pub(super) fn records_of(cache: &Cache) -> Vec<Record> {
    let payloads = folder(cache).payloads();
    let mut records: Vec<_> = payloads.iter().filter_map(|bytes| Record::parse(bytes)).collect();
    records.sort_by(|a, b| (&a.name, &a.shape, &a.identity).cmp(&(&b.name, &b.shape, &b.identity)));
    records
}

/// Deletes all records of that cache; how many there were.
///
/// # Errors
/// If one cannot be deleted.
pub fn clear() -> std::io::Result<usize> {
    folder(Cache::from_env()).clear()
}

/// The part of a cache where records are.
pub(super) fn folder(cache: &Cache) -> Cache {
    cache.folder(FOLDER, CAPACITY)
}

/// A record's place: results for other devices and numbers of threads stand beside each other, all else
/// that they depend on is compared.
pub(super) fn key(name: &str, shape: &[usize], identity: &[(String, String)]) -> Key {
    let beside = |name: &str| ["device", "threads"].contains(&name);
    let key = KeyBuilder::new().field("name", name).field("shape", numbers(shape));
    let parts = identity.iter().filter(|(name, _)| beside(name));
    parts.fold(key, |key, (name, value)| key.field(name, value)).finish()
}

fn numbers(shape: &[usize]) -> String {
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" ")
}

impl Record {
    /// What differs from how things are now, if anything.
    pub(super) fn outdated(&self, identity: &[(String, String)]) -> Option<String> {
        let then = |name: &str| self.identity.iter().find(|(n, _)| n == name).map(|(_, v)| v);
        identity.iter().find_map(|(name, now)| match then(name) {
            Some(then) if then == now => None,
            Some(then) => Some(format!("{name} was `{then}` and is `{now}`")),
            None => Some(format!("it does not tell its {name}")),
        })
    }

    pub(super) fn text(&self) -> String {
        let Record { name, shape, identity, best, time, first, measured } = self;
        let mut out = format!("{TITLE}\n");
        let mut line = |key: &str, value: &str| {
            // A line is a line.
            let value = value.replace(['\n', '\t', '\r'], " ");
            writeln!(out, "{key}\t{value}").expect("a string grows");
        };
        line("name", name);
        line("shape", &numbers(shape));
        identity.iter().for_each(|(name, value)| line(&format!("of {name}"), value));
        line("best", best);
        line("time", &time.as_nanos().to_string());
        if let Some(first) = first {
            line("first", &first.as_nanos().to_string());
        }
        line("measured", &measured.to_string());
        out
    }

    /// `None` if it is no record.
    pub(super) fn parse(bytes: &[u8]) -> Option<Record> {
        let text = std::str::from_utf8(bytes).ok()?.strip_prefix(TITLE)?.strip_prefix('\n')?;
        let lines: Vec<(&str, &str)> =
            text.lines().map(|line| line.split_once('\t')).collect::<Option<_>>()?;
        let get = |key: &str| lines.iter().find(|(k, _)| *k == key).map(|(_, value)| *value);
        let time = |key: &str| Some(Duration::from_nanos(get(key)?.parse().ok()?));
        let shape = get("shape")?.split_whitespace().map(|n| n.parse().ok()).collect::<Option<_>>();
        let of = |(key, value): &(&str, &str)| {
            Some((key.strip_prefix("of ")?.to_owned(), (*value).to_owned()))
        };
        Some(Record {
            name: get("name")?.to_owned(),
            shape: shape?,
            identity: lines.iter().filter_map(of).collect(),
            best: get("best")?.to_owned(),
            time: time("time")?,
            first: time("first"),
            measured: get("measured")?.parse().ok()?,
        })
    }
}
