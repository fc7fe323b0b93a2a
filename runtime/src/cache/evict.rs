//! Keeps the cache within its size: the entries longest unused go first.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// File name extension of a file that is still being written.
pub(super) const TEMPORARY: &str = "tmp";

/// A temporary file older than this was left behind by a process that died.
const ABANDONED: Duration = Duration::from_secs(60 * 60);

struct Entry {
    path: PathBuf,
    used: SystemTime,
    bytes: u64,
}

/// Deletes entries, oldest first, until the directory holds at most `capacity` bytes; `keep`, the
/// one just written, stays. Several processes may do so at once: each sees what is there, and a
/// file somebody else deleted first is simply gone.
pub(super) fn shrink(dir: &Path, capacity: u64, keep: &Path) {
    let mut entries = entries(dir);
    let mut total: u64 = entries.iter().map(|e| e.bytes).sum();
    if total <= capacity {
        return;
    }
    entries.sort_by_key(|e| e.used);
    for entry in entries.iter().filter(|e| e.path != keep) {
        if total <= capacity {
            break;
        }
        let _ = fs::remove_file(&entry.path);
        total -= entry.bytes;
    }
}

/// The entries there are; abandoned temporary files are deleted on the way.
fn entries(dir: &Path) -> Vec<Entry> {
    let Ok(listing) = fs::read_dir(dir) else { return Vec::new() };
    let mut entries = Vec::new();
    for file in listing.flatten() {
        let path = file.path();
        let Ok(meta) = file.metadata() else { continue };
        let used = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        match path.extension().and_then(|e| e.to_str()) {
            Some(super::EXTENSION) => entries.push(Entry { path, used, bytes: meta.len() }),
            Some(TEMPORARY) if used.elapsed().is_ok_and(|age| age > ABANDONED) => {
                let _ = fs::remove_file(path);
            }
            _ => {}
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::super::{Cache, Key, KeyBuilder};
    use super::*;

    fn key(i: u32) -> Key {
        KeyBuilder::new().field("i", i.to_string()).finish()
    }

    fn age(cache: &Cache, i: u32, seconds: u64) {
        let file = File::options().append(true).open(cache.path(&key(i)).unwrap()).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
    }

    #[test]
    fn the_longest_unused_go_first() {
        let dir = tempfile::tempdir().unwrap();
        // Room for four entries of 68 + 1000 bytes.
        let cache = Cache::in_dir(dir.path(), 4500);
        for i in 0..4 {
            cache.put(&key(i), &[i as u8; 1000]);
            age(&cache, i, 100 - u64::from(i));
        }
        // Using the oldest makes it the youngest.
        assert!(cache.get(&key(0)).is_some());
        cache.put(&key(4), &[4; 1000]);
        let left: Vec<_> = (0..5).filter(|&i| cache.get(&key(i)).is_some()).collect();
        assert_eq!(left, [0, 2, 3, 4]);
    }

    #[test]
    fn what_does_not_fit_is_not_stored_and_evicts_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::in_dir(dir.path(), 2000);
        cache.put(&key(0), &[0; 1000]);
        cache.put(&key(1), &[0; 2000]);
        assert!(cache.get(&key(0)).is_some());
        assert!(cache.get(&key(1)).is_none());
    }

    #[test]
    fn only_abandoned_temporary_files_are_swept() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::in_dir(dir.path(), 2000);
        let (fresh, abandoned) = (dir.path().join("1-0.tmp"), dir.path().join("2-0.tmp"));
        let foreign = dir.path().join("README");
        for path in [&fresh, &abandoned, &foreign] {
            fs::write(path, b"x").unwrap();
        }
        let file = File::options().append(true).open(&abandoned).unwrap();
        file.set_modified(SystemTime::now() - 2 * ABANDONED).unwrap();
        cache.put(&key(0), &[0; 100]);
        assert!(fresh.exists() && foreign.exists() && !abandoned.exists());
    }
}
