//! Caches as x86-64 processors tell them: the deterministic cache parameters, leaf 4 (Intel SDM,
//! volume 2, `CPUID`) or 0x8000001d of the same form (AMD APM, volume 3, appendix E).

use std::arch::x86_64::{__cpuid, __cpuid_count, CpuidResult};

use super::{Cache, CacheKind};

/// The caches of the core that asks.
pub(super) fn read() -> Option<Vec<Cache>> {
    // Leaf 0 and 0x80000000 give the highest leaf of their kind.
    let (basic, extended) = (__cpuid(0).eax, __cpuid(0x8000_0000).eax);
    let leaves = [(basic, 4), (extended, 0x8000_001d)];
    let caches = |leaf| (0..16).map_while(|i| cache(__cpuid_count(leaf, i))).collect::<Vec<_>>();
    let mut found = leaves.into_iter().filter(|(most, leaf)| most >= leaf).map(|(_, l)| caches(l));
    found.find(|caches| !caches.is_empty())
}

/// One subleaf; `None` behind the last.
fn cache(CpuidResult { eax, ebx, ecx, .. }: CpuidResult) -> Option<Cache> {
    let kind = match eax & 31 {
        0 => return None,
        2 => CacheKind::Instructions,
        _ => CacheKind::Data,
    };
    let field = |word: u32, from: u32, bits: u32| (word >> from & ((1 << bits) - 1)) as usize + 1;
    let (line, partitions, ways) = (field(ebx, 0, 12), field(ebx, 12, 10), field(ebx, 22, 10));
    Some(Cache {
        level: eax >> 5 & 7,
        kind,
        bytes: line * partitions * ways * (ecx as usize + 1),
        line,
        threads: field(eax, 14, 12),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_s_fields_are_read() {
        // 48 KiB of 12 ways, 64 sets, lines of 64, shared by two threads; then the end.
        let (eax, ebx) = (1 | 1 << 5 | 1 << 14, 63 | 11 << 22);
        let l1 = Cache { level: 1, kind: CacheKind::Data, bytes: 48 << 10, line: 64, threads: 2 };
        assert_eq!(cache(CpuidResult { eax, ebx, ecx: 63, edx: 0 }), Some(l1));
        assert_eq!(cache(CpuidResult { eax: 0, ebx, ecx: 63, edx: 0 }), None);
    }

    #[test]
    fn this_processor_s_can_be() {
        for cache in read().unwrap_or_default() {
            assert!((1..=4).contains(&cache.level) && cache.bytes >= 1 << 10, "{cache:?}");
        }
    }
}
