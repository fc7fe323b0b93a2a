//! What cost models know of a device: caches, cores, vectors.

mod caches;
#[cfg(target_arch = "x86_64")]
mod cpuid;
mod sysfs;

use std::fmt;

pub(crate) use caches::{Cache, CacheKind};

/// The parts of a device that block shapes are chosen by. Sizes are in bytes.
///
/// Of a processor they come from the operating system (Linux), else from the processor itself
/// (x86-64), else they are [`Machine::default`]; of a GPU from its driver. What nobody tells is as
/// in the default, for GPUs 0.
///
/// ```
/// let device = kernelsmith_runtime::Device::cpu();
/// let machine = device.machine();
/// // The rows of an f32 matrix of 1024 columns that fit half of a core's second-level cache.
/// let rows = machine.l2_per_core() / 2 / (4 * 1024);
/// # assert!(rows > 0);
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub struct Machine {
    /// The first-level data cache of a core; on a GPU what a multiprocessor has of shared memory and
    /// first-level cache.
    pub l1: usize,
    /// A second-level cache: of a core or of [`l2_cores`](Self::l2_cores); on a GPU the device's.
    pub l2: usize,
    /// Cores that share a second-level cache.
    pub l2_cores: usize,
    /// A third-level cache; 0 if there is none.
    pub l3: usize,
    /// Cores that share a third-level cache.
    pub l3_cores: usize,
    /// Bytes of a cache line.
    pub line: usize,
    /// Bytes of a vector register; on a GPU of one register of a warp.
    pub vector: usize,
    /// Cores, or multiprocessors: without their second threads.
    pub cores: usize,
}

impl Default for Machine {
    /// A common desktop processor's: 32 KiB, 512 KiB a core and 16 MiB for eight; vectors of 32 bytes.
    fn default() -> Machine {
        Machine {
            l1: 32 << 10,
            l2: 512 << 10,
            l2_cores: 1,
            l3: 16 << 20,
            l3_cores: 8,
            line: 64,
            vector: 32,
            cores: 1,
        }
    }
}

impl Machine {
    /// This process's processor.
    pub(crate) fn of_host() -> Machine {
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
        let found = sysfs::read("/sys/devices/system/cpu").or_else(from_processor);
        let machine = Machine { cores: threads, vector: vector_bytes(), ..Machine::default() };
        found.map_or(machine.clone(), |caches| machine.with(&caches, threads))
    }

    /// A GPU of so many multiprocessors, by what its driver tells.
    pub(crate) fn of_gpu(units: usize, l1: usize, l2: usize, warp: usize) -> Machine {
        let (l3, l3_cores) = (0, 1);
        // A line of both vendors' second-level caches.
        let (line, vector) = (128, 4 * warp);
        Machine { l1, l2, l2_cores: units, l3, l3_cores, line, vector, cores: units }
    }

    /// With the caches that were found. Those that share a cache are counted in threads as the system
    /// numbers them, of which a core may run several.
    fn with(mut self, caches: &[Cache], threads: usize) -> Machine {
        let level = |level| {
            caches.iter().find(|c| c.level == level && c.kind == CacheKind::Data && c.bytes > 0)
        };
        if let Some(l1) = level(1) {
            (self.l1, self.line) = (l1.bytes, l1.line.max(1));
            self.cores = threads.div_ceil(l1.threads.max(1));
        }
        let a_core = level(1).map_or(1, |l1| l1.threads.max(1));
        // Caches may be shared with cores that this process may not use.
        let cores = |cache: &Cache| cache.threads.div_ceil(a_core).clamp(1, self.cores);
        if let Some(l2) = level(2) {
            (self.l2, self.l2_cores) = (l2.bytes, cores(l2));
        }
        (self.l3, self.l3_cores) = level(3).map_or((0, 1), |l3| (l3.bytes, cores(l3)));
        self
    }

    /// What a core has of the second-level cache when all are busy.
    pub fn l2_per_core(&self) -> usize {
        self.l2 / self.l2_cores.max(1)
    }

    /// What a core has of the third-level cache when all are busy.
    pub fn l3_per_core(&self) -> usize {
        self.l3 / self.l3_cores.max(1)
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { l1, l2, l2_cores, l3, l3_cores, line, vector, cores } = self;
        let kib = |bytes: &usize| bytes >> 10;
        write!(
            f,
            "{cores} cores, L1 {} KiB, L2 {} KiB for {l2_cores}, L3 {} KiB for {l3_cores}, lines of \
             {line} and vectors of {vector} bytes",
            kib(l1),
            kib(l2),
            kib(l3),
        )
    }
}

#[cfg(target_arch = "x86_64")]
fn from_processor() -> Option<Vec<Cache>> {
    cpuid::read()
}

#[cfg(not(target_arch = "x86_64"))]
fn from_processor() -> Option<Vec<Cache>> {
    None
}

/// Bytes of the widest registers that generated code uses here.
#[cfg(target_arch = "x86_64")]
fn vector_bytes() -> usize {
    use kernelsmith_codegen_cpu::Isa;
    let isa = Isa::from_env().unwrap_or_default();
    let native = isa == Isa::Native;
    if isa == Isa::Avx512 || native && std::is_x86_feature_detected!("avx512f") {
        64
    } else if isa == Isa::Avx2 || native && std::is_x86_feature_detected!("avx2") {
        32
    } else {
        16
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn vector_bytes() -> usize {
    16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(level: u32, kib: usize, threads: usize) -> Cache {
        Cache { level, kind: CacheKind::Data, bytes: kib << 10, line: 64, threads }
    }

    #[test]
    fn caches_are_counted_in_cores() {
        // Two threads a core, as most servers have.
        let caches = [cache(1, 48, 2), cache(2, 2048, 2), cache(3, 32 << 10, 16)];
        let machine = Machine::default().with(&caches, 32);
        assert_eq!(
            (machine.cores, machine.l1, machine.l2, machine.l2_cores),
            (16, 48 << 10, 2 << 20, 1)
        );
        assert_eq!((machine.l3_cores, machine.l3_per_core()), (8, 4 << 20));
        // Clusters of four cores, no third level.
        let machine = Machine::default().with(&[cache(1, 128, 1), cache(2, 12 << 10, 4)], 8);
        assert_eq!((machine.cores, machine.l2_per_core(), machine.l3), (8, 3 << 20, 0));
        // A virtual machine of two cores in a processor of many.
        let machine = Machine::default().with(&[cache(1, 32, 1), cache(3, 32 << 10, 8)], 2);
        assert_eq!((machine.l2, machine.l3_cores), (Machine::default().l2, 2));
    }

    #[test]
    fn this_machine_has_sizes_that_can_be() {
        let machine = Machine::of_host();
        assert!(machine.l1 >= 4 << 10 && machine.l1 <= machine.l2, "{machine}");
        assert!(machine.l3 == 0 || machine.l3 >= machine.l2, "{machine}");
        assert!(machine.line.is_power_of_two() && machine.vector >= 16, "{machine}");
        assert!(machine.cores >= 1 && machine.l2_cores >= 1 && machine.l3_cores >= 1);
        assert!(machine.l2_per_core() <= machine.l2 && machine.l3_per_core() <= machine.l3);
    }
}
