//! The disk cache of compiled kernels.
//!
//! One file per kernel, named by a SHA-256 of everything its contents depend on ([`Key`]), so a
//! file is never updated, only replaced by an equal one. Files are written beside their place and
//! renamed into it; readers therefore see no file, or a whole one. What they read is checked
//! against a checksum all the same, since disks fill up and machines lose power: a file that is
//! damaged, truncated or of another format counts as absent and is written anew.
//!
//! The directory is `KERNELSMITH_CACHE_DIR`, else `kernelsmith` under `XDG_CACHE_HOME`, else
//! `~/.cache/kernelsmith`. `KERNELSMITH_CACHE=off` turns the cache off.
//!
//! The cache is a hint: nothing it does or fails to do is an error to whoever asks it.

mod entry;
mod evict;
mod key;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

pub use key::{Key, KeyBuilder};

/// Bytes a cache holds unless told otherwise. A compiled kernel takes 5 to 100 KiB.
pub const DEFAULT_CAPACITY: u64 = 256 * 1024 * 1024;

/// File name extension of an entry.
const EXTENSION: &str = "ksc";

/// A directory of compiled kernels, bounded in size; or nothing at all, when it is off.
#[derive(Clone, Debug)]
pub struct Cache {
    dir: Option<PathBuf>,
    capacity: u64,
}

impl Cache {
    /// The cache the environment asks for. Read once per process.
    pub fn from_env() -> &'static Cache {
        static CACHE: OnceLock<Cache> = OnceLock::new();
        CACHE.get_or_init(|| Cache::from_vars(&|name| std::env::var_os(name)))
    }

    /// A cache in a directory of its own, which is made when it is first needed.
    pub fn in_dir(dir: impl Into<PathBuf>, capacity: u64) -> Cache {
        Cache { dir: Some(dir.into()), capacity }
    }

    /// A cache that stores nothing.
    pub fn off() -> Cache {
        Cache { dir: None, capacity: 0 }
    }

    fn from_vars(var: &dyn Fn(&str) -> Option<OsString>) -> Cache {
        let var = |name: &str| var(name).filter(|value| !value.is_empty());
        let off = var("KERNELSMITH_CACHE")
            .and_then(|value| value.into_string().ok())
            .is_some_and(|value| ["off", "0", "false", "no"].contains(&&*value.to_lowercase()));
        if off {
            return Cache::off();
        }
        let dir = var("KERNELSMITH_CACHE_DIR").map(PathBuf::from).or_else(|| {
            let base = match var("XDG_CACHE_HOME") {
                // The XDG base directory specification: a relative path is invalid and ignored.
                Some(base) if Path::new(&base).is_absolute() => PathBuf::from(base),
                _ => PathBuf::from(var("HOME").or_else(|| var("USERPROFILE"))?).join(".cache"),
            };
            Some(base.join("kernelsmith"))
        });
        match dir {
            Some(dir) => Cache::in_dir(dir, DEFAULT_CAPACITY),
            None => Cache::off(),
        }
    }

    /// Where the files are; `None` when the cache is off.
    pub fn dir(&self) -> Option<&Path> {
        self.dir.as_deref()
    }

    /// What was stored under a key, if it is there and whole.
    pub fn get(&self, key: &Key) -> Option<Vec<u8>> {
        let path = self.path(key)?;
        let mut file = File::open(path).ok()?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).ok()?;
        let payload = entry::decode(key, bytes)?;
        // Eviction takes the oldest first; what is used stays young. Not our file: no matter.
        let _ = file.set_modified(SystemTime::now());
        Some(payload)
    }

    /// Stores a compiled kernel, and makes room for it if need be. A cache that cannot be written
    /// (no permission, no space) stays as it is.
    pub fn put(&self, key: &Key, payload: &[u8]) {
        let (Some(dir), Some(path)) = (&self.dir, self.path(key)) else { return };
        let bytes = entry::encode(key, payload);
        if bytes.len() as u64 > self.capacity {
            return;
        }
        if create_private_dir(dir).and_then(|()| replace(dir, &path, &bytes)).is_ok() {
            evict::shrink(dir, self.capacity, &path);
        }
    }

    /// What is stored under a key, or what `make` makes, stored for the next time.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn get_or_try_insert<E>(
        &self,
        key: &Key,
        make: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Vec<u8>, E> {
        if let Some(payload) = self.get(key) {
            return Ok(payload);
        }
        let payload = make()?;
        self.put(key, &payload);
        Ok(payload)
    }

    /// A cache of its own size in a folder below this one, for entries of another kind; off if this one is.
    #[must_use]
    pub fn folder(&self, name: &str, capacity: u64) -> Cache {
        Cache { dir: self.dir.as_ref().map(|dir| dir.join(name)), capacity }
    }

    /// Everything that is stored and whole, in no order.
    pub fn payloads(&self) -> Vec<Vec<u8>> {
        let read = |path: PathBuf| entry::decode_any(fs::read(path).ok()?);
        self.files().into_iter().filter_map(read).collect()
    }

    /// Deletes every entry; how many there were, damaged ones too.
    ///
    /// # Errors
    /// If a file is there and cannot be deleted.
    pub fn clear(&self) -> io::Result<usize> {
        let mut gone = 0;
        for path in self.files() {
            match fs::remove_file(path) {
                Ok(()) => gone += 1,
                // Somebody else was faster.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(gone)
    }

    fn files(&self) -> Vec<PathBuf> {
        let listing = self.dir.as_ref().and_then(|dir| fs::read_dir(dir).ok());
        let paths = listing.into_iter().flatten().flatten().map(|file| file.path());
        paths.filter(|path| path.extension().is_some_and(|e| e == EXTENSION)).collect()
    }

    fn path(&self, key: &Key) -> Option<PathBuf> {
        Some(self.dir.as_ref()?.join(format!("{key}.{EXTENSION}")))
    }
}

/// Makes the directory, readable by its owner alone: it holds code that we run.
fn create_private_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Puts `bytes` at `path` in one step, through a file of a name nobody else uses.
fn replace(dir: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let unique = COUNTER.fetch_add(1, Ordering::Relaxed);
    let temporary = dir.join(format!("{}-{unique}.{}", std::process::id(), evict::TEMPORARY));
    let written = File::create(&temporary)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(vars: &[(&str, &str)]) -> Option<PathBuf> {
        let cache = Cache::from_vars(&|name| {
            vars.iter().find(|(n, _)| *n == name).map(|(_, value)| OsString::from(value))
        });
        cache.dir
    }

    #[test]
    fn the_environment_chooses_the_directory() {
        let home = ("HOME", "/home/me");
        assert_eq!(cache(&[home]), Some("/home/me/.cache/kernelsmith".into()));
        let xdg = ("XDG_CACHE_HOME", "/var/c");
        assert_eq!(cache(&[home, xdg]), Some("/var/c/kernelsmith".into()));
        let own = ("KERNELSMITH_CACHE_DIR", "/ks");
        assert_eq!(cache(&[home, xdg, own]), Some("/ks".into()));
        assert_eq!(cache(&[home, xdg, own, ("KERNELSMITH_CACHE", "OFF")]), None);
        assert_eq!(cache(&[own, ("KERNELSMITH_CACHE", "on")]), Some("/ks".into()));
        assert_eq!(
            cache(&[home, ("XDG_CACHE_HOME", "relative"), ("KERNELSMITH_CACHE_DIR", "")]),
            Some("/home/me/.cache/kernelsmith".into())
        );
        assert_eq!(cache(&[]), None);
    }

    #[test]
    fn a_cache_that_is_off_stores_nothing_and_still_makes() {
        let key = KeyBuilder::new().field("ir", b"x").finish();
        let cache = Cache::off();
        cache.put(&key, b"payload");
        assert_eq!(cache.get(&key), None);
        assert_eq!(cache.get_or_try_insert(&key, || Ok::<_, ()>(vec![1])), Ok(vec![1]));
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("occupied");
        fs::write(&file, b"a file where the cache wants a directory").unwrap();
        let cache = Cache::in_dir(&file, DEFAULT_CAPACITY);
        let key = KeyBuilder::new().field("ir", b"x").finish();
        cache.put(&key, b"payload");
        assert_eq!(cache.get(&key), None);
    }

    #[test]
    fn a_folder_is_listed_and_cleared_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::in_dir(dir.path(), DEFAULT_CAPACITY);
        let folder = cache.folder("records", 1 << 20);
        let key = |name: &str| KeyBuilder::new().field("name", name).finish();
        assert_eq!((folder.payloads(), folder.clear().unwrap()), (Vec::new(), 0));
        cache.put(&key("a"), b"code");
        folder.put(&key("a"), b"1");
        folder.put(&key("b"), b"2");
        fs::write(dir.path().join("records/damaged.ksc"), b"KSC").unwrap();
        fs::write(dir.path().join("records/README"), b"not ours").unwrap();
        let mut payloads = folder.payloads();
        payloads.sort();
        assert_eq!(payloads, [b"1", b"2"]);
        assert_eq!(folder.clear().unwrap(), 3);
        assert_eq!(folder.payloads(), [b""; 0]);
        assert!(cache.get(&key("a")).is_some() && dir.path().join("records/README").exists());
        assert_eq!(Cache::off().folder("records", 1).dir(), None);
    }

    #[test]
    fn failures_are_not_stored() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::in_dir(dir.path(), DEFAULT_CAPACITY);
        let key = KeyBuilder::new().field("ir", b"x").finish();
        assert_eq!(cache.get_or_try_insert(&key, || Err("no")), Err("no"));
        assert_eq!(cache.get(&key), None);
        assert_eq!(
            cache.get_or_try_insert(&key, || Ok::<_, ()>(b"yes".to_vec())),
            Ok(b"yes".to_vec())
        );
        assert_eq!(cache.get_or_try_insert(&key, || Err("not called")), Ok(b"yes".to_vec()));
    }
}
