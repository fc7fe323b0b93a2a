//! What a kernel can be compiled for.
//!
//! A target is known while a kernel is staged, so its facts (warp size, limits) are host values
//! there.

use std::fmt;
use std::str::FromStr;

/// A machine that kernels are compiled for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Target {
    /// This process's own processor: warps are SIMD lanes.
    Cpu,
    /// An NVIDIA GPU, through PTX.
    Ptx(Ptx),
    /// An AMD GPU, through a code object.
    Amdgcn(Gfx),
}

/// An NVIDIA architecture.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Ptx {
    /// Compute capability times ten: 90 for 9.0.
    pub sm: u32,
    /// Whether the architecture-specific features (suffix `a`, as in `sm_90a`) may be used.
    pub specific: bool,
}

/// An AMD architecture.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Gfx {
    /// MI200.
    Gfx90a,
    /// MI300.
    Gfx942,
    /// MI350.
    Gfx950,
    /// RDNA 3.
    Gfx1100,
    /// RDNA 4.
    Gfx1201,
}

impl Gfx {
    /// Every architecture there is code for.
    pub const ALL: [Gfx; 5] = [Gfx::Gfx90a, Gfx::Gfx942, Gfx::Gfx950, Gfx::Gfx1100, Gfx::Gfx1201];

    /// The name LLVM uses.
    pub const fn name(self) -> &'static str {
        match self {
            Gfx::Gfx90a => "gfx90a",
            Gfx::Gfx942 => "gfx942",
            Gfx::Gfx950 => "gfx950",
            Gfx::Gfx1100 => "gfx1100",
            Gfx::Gfx1201 => "gfx1201",
        }
    }

    /// A data-centre part: 64-lane waves and MFMA.
    pub const fn is_cdna(self) -> bool {
        matches!(self, Gfx::Gfx90a | Gfx::Gfx942 | Gfx::Gfx950)
    }
}

impl Target {
    /// NVIDIA compute capabilities there is code for.
    pub const SMS: [u32; 7] = [75, 80, 86, 89, 90, 100, 120];

    /// `sm_90a` by `Target::sm(90, true)`.
    pub const fn sm(sm: u32, specific: bool) -> Target {
        Target::Ptx(Ptx { sm, specific })
    }

    /// Every target there is code for, without the variants that only add instructions.
    pub fn all() -> impl Iterator<Item = Target> {
        let nvidia = Target::SMS.into_iter().map(|sm| Target::sm(sm, false));
        nvidia.chain(Gfx::ALL.into_iter().map(Target::Amdgcn)).chain([Target::Cpu])
    }

    /// The targets that have something, in words: `sm_80 and newer, gfx942, cpu`.
    pub fn describe_where(has: impl Fn(&Target) -> bool) -> String {
        let those: Vec<Target> = Target::all().filter(|t| has(t)).collect();
        if those.len() == Target::all().count() {
            return "every target".to_owned();
        }
        let mut words: Vec<String> = those.iter().map(|t| t.to_string()).collect();
        let nvidia = those.iter().take_while(|t| matches!(t, Target::Ptx(_))).count();
        // Mostly newer ones have it too (PTX ISA, ".target"), though not as much shared memory.
        let newest = Target::SMS.iter().rev().map(|&sm| Target::sm(sm, false));
        if nvidia > 1 && newest.take(nvidia).eq(those[..nvidia].iter().rev().cloned()) {
            words.splice(..nvidia, [format!("{} and newer", those[0])]);
        }
        if words.is_empty() { "no target".to_owned() } else { words.join(", ") }
    }

    /// Threads that execute together. 32 on NVIDIA and RDNA, 64 on CDNA; on the CPU 32 lanes,
    /// whatever the width of its registers, so that warp-level code means the same as on NVIDIA.
    pub const fn warp_size(&self) -> u32 {
        match self {
            Target::Cpu | Target::Ptx(_) => 32,
            Target::Amdgcn(gfx) => {
                if gfx.is_cdna() {
                    64
                } else {
                    32
                }
            }
        }
    }

    /// Most threads in one block.
    pub const fn max_threads(&self) -> u32 {
        1024
    }

    /// Most bytes of shared memory one block can have, with the opt-in where there is one
    /// (CUDA C Programming Guide, table "Technical Specifications per Compute Capability";
    /// LLVM AMDGPU usage guide, "Memory Model"). The CPU's limit is ours: a block's shared memory
    /// should stay in the L2 cache.
    pub const fn max_shared_bytes(&self) -> u32 {
        match self {
            Target::Cpu => 1024 * 1024,
            Target::Ptx(Ptx { sm, .. }) => match *sm {
                75 => 64 * 1024,
                80 => 163 * 1024,
                86 | 89 | 120 => 99 * 1024,
                _ => 227 * 1024,
            },
            Target::Amdgcn(Gfx::Gfx950) => 160 * 1024,
            Target::Amdgcn(_) => 64 * 1024,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Cpu => f.write_str("cpu"),
            Target::Ptx(p) => write!(f, "sm_{}{}", p.sm, if p.specific { "a" } else { "" }),
            Target::Amdgcn(g) => f.write_str(g.name()),
        }
    }
}

/// A target name nobody knows.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "unknown target `{0}`: expected cpu, sm_NN or sm_NNa (NN one of 75, 80, 86, 89, 90, 100, 120; \
     `a` from 90 on), gfx90a, gfx942, gfx950, gfx1100 or gfx1201"
)]
pub struct UnknownTarget(pub String);

impl FromStr for Target {
    type Err = UnknownTarget;

    fn from_str(name: &str) -> Result<Target, UnknownTarget> {
        let unknown = || UnknownTarget(name.to_owned());
        if name == "cpu" {
            return Ok(Target::Cpu);
        }
        if let Some(gfx) = Gfx::ALL.into_iter().find(|g| g.name() == name) {
            return Ok(Target::Amdgcn(gfx));
        }
        let number = name.strip_prefix("sm_").ok_or_else(unknown)?;
        let (number, specific) = match number.strip_suffix('a') {
            Some(number) => (number, true),
            None => (number, false),
        };
        let sm = number.parse().map_err(|_| unknown())?;
        // The `a` variants begin with Hopper (PTX ISA, `.target` directive).
        if !Target::SMS.contains(&sm) || (specific && sm < 90) {
            return Err(unknown());
        }
        Ok(Target::sm(sm, specific))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_name_just_those_that_have_it() {
        let describe = |has: &dyn Fn(&Target) -> bool| Target::describe_where(has);
        assert_eq!(describe(&|_| true), "every target");
        assert_eq!(describe(&|_| false), "no target");
        let since_90 = |t: &Target| matches!(t, Target::Ptx(p) if p.sm >= 90) || *t == Target::Cpu;
        assert_eq!(describe(&since_90), "sm_90 and newer, cpu");
        let large = |t: &Target| t.max_shared_bytes() > 150 * 1024;
        assert_eq!(describe(&large), "sm_80, sm_90, sm_100, gfx950, cpu");
    }

    #[test]
    fn names_round_trip() {
        for name in ["cpu", "sm_75", "sm_80", "sm_90", "sm_90a", "sm_100a", "gfx942", "gfx1201"] {
            assert_eq!(name.parse::<Target>().unwrap().to_string(), name);
        }
        for name in ["", "sm_", "sm_80a", "sm_91", "gfx900", "CPU"] {
            assert!(name.parse::<Target>().is_err(), "{name}");
        }
    }
}
