//! Caches as Linux tells them: `/sys/devices/system/cpu/cpu0/cache/index*` (Linux,
//! `Documentation/ABI/testing/sysfs-devices-system-cpu`).

use std::fs;
use std::path::Path;

use super::{Cache, CacheKind};

/// The caches of the first processor; `None` if the folder tells none.
pub(super) fn read(root: impl AsRef<Path>) -> Option<Vec<Cache>> {
    let folder = root.as_ref().join("cpu0/cache");
    let entries = fs::read_dir(folder).ok()?.flatten();
    let caches: Vec<Cache> = entries.filter_map(|entry| cache(&entry.path())).collect();
    (!caches.is_empty()).then_some(caches)
}

fn cache(folder: &Path) -> Option<Cache> {
    let text = |name: &str| {
        let text = fs::read_to_string(folder.join(name)).ok()?;
        Some(text.trim().to_owned())
    };
    let kind = match text("type")?.as_str() {
        "Instruction" => CacheKind::Instructions,
        _ => CacheKind::Data,
    };
    Some(Cache {
        level: text("level")?.parse().ok()?,
        kind,
        bytes: bytes(&text("size")?)?,
        line: text("coherency_line_size").and_then(|n| n.parse().ok()).unwrap_or(64),
        threads: text("shared_cpu_list").and_then(|list| count(&list)).unwrap_or(1),
    })
}

/// `1024K`.
fn bytes(size: &str) -> Option<usize> {
    let (digits, unit) =
        size.split_at(size.find(|c: char| !c.is_ascii_digit()).unwrap_or(size.len()));
    let shift = match unit {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return None,
    };
    digits.parse::<usize>().ok()?.checked_mul(1 << shift)
}

/// How many processors a list such as `0-3,8,10-11` names.
fn count(list: &str) -> Option<usize> {
    let mut sum = 0;
    for part in list.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to) = (from.parse::<usize>().ok()?, to.parse::<usize>().ok()?);
        sum += to.checked_sub(from)? + 1;
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_lists_are_read() {
        assert_eq!(
            [bytes("32K"), bytes("8M"), bytes("512")],
            [Some(32 << 10), Some(8 << 20), Some(512)]
        );
        assert_eq!([bytes(""), bytes("K"), bytes("12Q"), bytes("99999999999G")], [None; 4]);
        assert_eq!([count("0"), count("0-1"), count("0-3,8,10-11")], [Some(1), Some(2), Some(7)]);
        assert_eq!([count(""), count("3-1"), count("a")], [None; 3]);
    }

    #[test]
    fn a_folder_is_read_and_what_is_broken_left_out() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(read(root.path()), None);
        let write = |index: usize, files: &[(&str, &str)]| {
            let folder = root.path().join(format!("cpu0/cache/index{index}"));
            fs::create_dir_all(&folder).unwrap();
            for (name, text) in files {
                fs::write(folder.join(name), format!("{text}\n")).unwrap();
            }
        };
        write(0, &[("level", "1"), ("type", "Data"), ("size", "48K"), ("shared_cpu_list", "0,16")]);
        write(1, &[("level", "1"), ("type", "Instruction"), ("size", "32K")]);
        write(2, &[("level", "2"), ("type", "Unified"), ("size", "no number")]);
        let mut found = read(root.path()).unwrap();
        found.sort_by_key(|cache| cache.kind == CacheKind::Instructions);
        assert_eq!(found.len(), 2);
        let l1 = Cache { level: 1, kind: CacheKind::Data, bytes: 48 << 10, line: 64, threads: 2 };
        assert_eq!(found[0], l1);
    }
}
