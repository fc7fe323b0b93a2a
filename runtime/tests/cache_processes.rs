//! Several processes use one cache at once, while somebody damages its files.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::{Child, Command};

use kernelsmith_runtime::cache::{Cache, Key, KeyBuilder};

const KEYS: u32 = 24;
const ROUNDS: u32 = 4000;
/// Names the cache's directory to a child process.
const DIR: &str = "KERNELSMITH_TEST_CACHE";

fn key(i: u32) -> Key {
    KeyBuilder::new().field("ir", format!("kernel {i}")).finish()
}

/// What must come back for a key: different bytes and length for each.
fn payload(i: u32) -> Vec<u8> {
    (0..1000 + 97 * i).map(|at| (at * (i + 1)) as u8).collect()
}

/// About half of the entries fit, so that eviction runs all the time.
fn cache(dir: &Path) -> Cache {
    Cache::in_dir(dir, 28 * 1024)
}

#[test]
#[ignore = "the body of the processes that `processes_hammer_one_cache` starts"]
fn hammer() {
    let dir = std::env::var_os(DIR).expect("the parent names the directory");
    let cache = cache(Path::new(&dir));
    let mut state = std::process::id();
    let mut hits = 0;
    for _ in 0..ROUNDS {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let i = (state >> 16) % KEYS;
        let mut made = false;
        let got = cache.get_or_try_insert(&key(i), || {
            made = true;
            Ok::<_, ()>(payload(i))
        });
        assert!(got == Ok(payload(i)), "wrong bytes for key {i}");
        hits += u32::from(!made);
    }
    // A cache that never gives anything back would pass the check above.
    assert!(hits > ROUNDS / 10, "{hits} hits");
}

fn start(dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "hammer", "--nocapture"])
        .env(DIR, dir)
        .spawn()
        .unwrap()
}

/// Flips a bit of one file and cuts another off, in place: worse than any crash would.
fn damage(dir: &Path, step: usize) {
    let files: Vec<_> =
        fs::read_dir(dir).into_iter().flatten().flatten().map(|f| f.path()).collect();
    if files.is_empty() {
        return;
    }
    // Never creates a file: the one picked may be renamed or evicted by now.
    let open = |n: usize| File::options().read(true).write(true).open(&files[n % files.len()]);
    if let Ok(mut file) = open(step * 7) {
        let mut bytes = Vec::new();
        if file.read_to_end(&mut bytes).is_ok() && !bytes.is_empty() {
            let at = (step * 131) % bytes.len();
            let flipped = bytes[at] ^ 1 << (step % 8);
            let _ = file.seek(SeekFrom::Start(at as u64)).and_then(|_| file.write_all(&[flipped]));
        }
    }
    if let Ok(file) = open(step * 3 + 1) {
        let _ = file.set_len((step * 11 % 900) as u64);
    }
}

#[test]
fn processes_hammer_one_cache() {
    let dir = tempfile::tempdir().unwrap();
    let mut children: Vec<Child> = (0..4).map(|_| start(dir.path())).collect();
    let mut step = 0;
    while children.iter_mut().any(|c| c.try_wait().unwrap().is_none()) {
        damage(dir.path(), step);
        step += 1;
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let left = fs::read_dir(dir.path()).unwrap().flatten().collect::<Vec<_>>();
    assert!(!left.is_empty());
    let temporary = left.iter().filter(|f| f.path().extension().is_some_and(|e| e == "tmp"));
    assert_eq!(temporary.count(), 0, "a process left a temporary file behind");

    // And afterwards every damaged file heals.
    let cache = cache(dir.path());
    for i in 0..KEYS {
        assert_eq!(cache.get_or_try_insert(&key(i), || Ok::<_, ()>(payload(i))), Ok(payload(i)));
        assert_eq!(cache.get(&key(i)), Some(payload(i)));
    }
    let bytes: u64 =
        fs::read_dir(dir.path()).unwrap().map(|f| f.unwrap().metadata().unwrap().len()).sum();
    assert!(bytes <= 28 * 1024, "{bytes} bytes");
}
