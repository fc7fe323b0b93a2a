//! From IR to an object file.

use std::env;

use kernelsmith_ir::Kernel;
use kernelsmith_llvm::emit::Lines;
use kernelsmith_llvm::{Effort, Host, Machine, MachineOptions, Output};

use crate::Error;
use crate::lower::{self, Dot, Features};

/// The instruction set to generate code for.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub enum Isa {
    /// Everything this machine has.
    #[default]
    Native,
    /// x86-64-v4: AVX-512.
    Avx512,
    /// x86-64-v3: AVX2 and FMA.
    Avx2,
    /// x86-64: SSE2.
    Sse2,
    /// AArch64, whose vectors are NEON's. Code for it can be made and looked at anywhere, and run there.
    Neon,
}

impl Isa {
    /// The one that `KERNELSMITH_CPU_FEATURES` names, or the machine's own.
    ///
    /// # Errors
    /// If the variable names none.
    pub fn from_env() -> Result<Isa, Error> {
        match env::var("KERNELSMITH_CPU_FEATURES") {
            Err(_) => Ok(Isa::Native),
            Ok(name) => match name.as_str() {
                "" | "native" => Ok(Isa::Native),
                "avx512" => Ok(Isa::Avx512),
                "avx2" => Ok(Isa::Avx2),
                "sse2" => Ok(Isa::Sse2),
                _ => Err(Error::Isa(name)),
            },
        }
    }

    /// What the set has of what generated code depends on.
    fn features(self) -> Result<Features, Error> {
        Ok(match self {
            Isa::Native => {
                let host = Host::detect()?;
                let x86 = host.triple.starts_with("x86_64");
                // On x86 conversions of f16 are an extension, F16C.
                Features {
                    half: !x86 || host.has("f16c"),
                    dot: dot_of(&host, x86),
                    dot_of_bf16: x86 && host.has("avx512bf16"),
                }
            }
            Isa::Avx512 => Features { half: true, dot: Dot::Pairs(512), dot_of_bf16: false },
            Isa::Avx2 => Features { half: true, dot: Dot::Pairs(256), dot_of_bf16: false },
            Isa::Sse2 => Features { half: false, dot: Dot::Pairs(128), dot_of_bf16: false },
            Isa::Neon => Features { half: true, dot: Dot::Plain, dot_of_bf16: false },
        })
    }

    /// Whether the operation `dot2` is one instruction, not two multiply-adds and what unpacks their
    /// factors. Asks the processor, since LLVM may not be loaded for kernels that are in the cache.
    pub fn has_dot2(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return self == Isa::Native && std::arch::is_x86_feature_detected!("avx512bf16");
        #[cfg(not(target_arch = "x86_64"))]
        false
    }
}

/// A kernel compiled for one block size.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CpuObject {
    /// A relocatable object file.
    pub bytes: Vec<u8>,
    /// The block size.
    pub block: [u32; 3],
    /// Bytes of static shared memory.
    pub shared_bytes: u32,
}

/// The best that a machine has for dot products of bytes.
fn dot_of(host: &Host, x86: bool) -> Dot {
    match x86 {
        false => Dot::Plain,
        _ if host.has("avx512vnni") => Dot::Quads(512),
        _ if host.has("avxvnni") => Dot::Quads(256),
        _ if host.has("avx512bw") => Dot::Pairs(512),
        _ if host.has("avx2") => Dot::Pairs(256),
        _ => Dot::Pairs(128),
    }
}

/// The name of the function in the object.
pub(crate) const SYMBOL: &str = "kernelsmith_block";

/// Enough to turn stack slots into registers and fold addresses; measured in
/// `docs/notes/cpu-backend.md`.
const PASSES: &str = "sroa,early-cse,instcombine<no-verify-fixpoint>,simplifycfg,loop-mssa(licm),gvn,\
     instcombine<no-verify-fixpoint>,adce";

/// Compiles a prepared kernel for a block size.
///
/// # Errors
/// If the CPU lacks an operation, no LLVM is found, or code generation fails.
pub fn compile(kernel: &Kernel, block: [u32; 3], isa: Isa) -> Result<CpuObject, Error> {
    let bytes = generate(kernel, block, isa, Output::Object)?;
    let (_, shared_bytes) = kernel.shared_layout();
    Ok(CpuObject { bytes, block, shared_bytes })
}

/// The LLVM IR of a prepared kernel, before LLVM's passes.
///
/// # Errors
/// If the CPU lacks an operation, or no LLVM is found to ask what this machine has.
pub fn llvm_ir(kernel: &Kernel, block: [u32; 3], isa: Isa) -> Result<String, Error> {
    lower(kernel, block, isa, Lines::None)
}

fn lower(kernel: &Kernel, block: [u32; 3], isa: Isa, lines: Lines) -> Result<String, Error> {
    let threads = block.iter().try_fold(1u32, |n, &d| n.checked_mul(d)).unwrap_or(u32::MAX);
    if threads == 0 || threads > 1024 {
        return Err(Error::Block { block });
    }
    lower::lower(kernel, block, SYMBOL, isa.features()?, lines)
}

/// The assembly of a prepared kernel.
///
/// # Errors
/// As for [`compile`].
pub fn assembly(kernel: &Kernel, block: [u32; 3], isa: Isa) -> Result<String, Error> {
    let text = generate(kernel, block, isa, Output::Assembly)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn generate(kernel: &Kernel, block: [u32; 3], isa: Isa, output: Output) -> Result<Vec<u8>, Error> {
    // Objects are loaded into this process, where no tool would read line tables.
    let lines = if output == Output::Assembly { Lines::Directives } else { Lines::None };
    let ir = lower(kernel, block, isa, lines)?;
    Ok(machine(isa)?.compile(ir, PASSES, output)?)
}

fn machine(isa: Isa) -> Result<Machine, Error> {
    let Host { triple, cpu, features } = Host::detect()?;
    let level = |triple: String, cpu: &str| (triple, cpu.to_owned(), String::new());
    let (triple, cpu, features) = match isa {
        Isa::Native => (triple, cpu, features),
        Isa::Avx512 => level(triple, "x86-64-v4"),
        Isa::Avx2 => level(triple, "x86-64-v3"),
        Isa::Sse2 => level(triple, "x86-64"),
        Isa::Neon => level("aarch64-unknown-linux-gnu".to_owned(), "generic"),
    };
    Ok(Machine::new(MachineOptions { triple, cpu, features, effort: Effort::Default })?)
}
