//! What the choices of the CPU backend cost: the figures of `docs/notes/cpu-backend.md`.
//!
//! `cargo run --release -p kernelsmith-codegen-cpu --example costs`

#[allow(dead_code)]
#[path = "../tests/cpu/harness.rs"]
mod harness;
#[allow(dead_code)]
#[path = "../tests/cpu/kernels.rs"]
mod kernels;

use std::time::Instant;

use harness::{Array, build, isas, prepare};
use kernelsmith_codegen_cpu::compile::llvm_ir;
use kernelsmith_codegen_cpu::{CpuKernel, CpuObject, Isa};
use kernelsmith_ir::check::ErrorRecord;
use kernelsmith_ir::{Kernel, Scalar};
use kernelsmith_llvm::{Effort, Host, Machine, MachineOptions, Output};

/// The least of several runs, in microseconds.
fn least(times: usize, mut run: impl FnMut()) -> f64 {
    let once = |run: &mut dyn FnMut()| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64() * 1e6
    };
    (0..times).map(|_| once(&mut run)).fold(f64::INFINITY, f64::min)
}

const BACKEND: &str = "sroa,early-cse,instcombine<no-verify-fixpoint>,simplifycfg,loop-mssa(licm),gvn,\
     instcombine<no-verify-fixpoint>,adce";

/// Pipelines to compare, the backend's own first.
const PIPELINES: [(&str, &str); 4] =
    [("the backend's", BACKEND), ("none", ""), ("sroa", "sroa"), ("default<O2>", "default<O2>")];

fn object(kernel: &Kernel, block: [u32; 3], passes: &str) -> CpuObject {
    let Host { triple, cpu, features } = Host::detect().expect("LLVM");
    let options = MachineOptions { triple, cpu, features, effort: Effort::Default };
    let machine = Machine::new(options).expect("a machine");
    let text = llvm_ir(kernel, block, Isa::Native).expect("the CPU has it");
    let bytes = machine.compile(text, passes, Output::Object).expect("code");
    CpuObject { bytes, block, shared_bytes: kernel.shared_layout().1 }
}

fn packed(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

/// Microseconds of one launch of a block.
fn launch(kernel: &CpuKernel, grid: u32, args: &[u8]) -> f64 {
    let mut record = ErrorRecord::default();
    // SAFETY: the callers pass arrays as large as the kernels reach.
    least(300, || unsafe { kernel.run([grid, 1, 1], args, 0, &mut record) })
}

fn pipelines() {
    println!("kernel       passes         to object (us)   bytes   a block (us)");
    let (mut x, mut y) = (Array::new(Scalar::F32, 4096), Array::new(Scalar::F32, 4096));
    let mut numbers = Array::of(Scalar::U32, (0..256).map(|i| 3 << (i % 7)));
    let (x, y, numbers) = (x.address(), y.address(), numbers.address());
    let one = u64::from(1f32.to_bits());
    let cases = [
        ("saxpy", kernels::saxpy(), packed(&[one, x, 4096, y, 4096])),
        ("halve", kernels::halve(), packed(&[numbers])),
        ("block_sum", kernels::block_sum(), packed(&[x, y])),
    ];
    for (name, kernel, args) in cases {
        let kernel = prepare(&kernel);
        for (label, passes) in PIPELINES {
            let block = [256, 1, 1];
            let code = object(&kernel, block, passes);
            let compiling = least(10, || drop(object(&kernel, block, passes)));
            let Ok(loaded) = CpuKernel::load(&code) else {
                println!(
                    "{name:12} {label:14} {compiling:14.0} {:8} calls a library",
                    code.bytes.len()
                );
                continue;
            };
            let time = launch(&loaded, 1, &args);
            println!("{name:12} {label:14} {compiling:14.0} {:8} {time:13.3}", code.bytes.len());
        }
    }
}

fn instruction_sets() {
    println!("\nkernel       instructions     a block of 256 (us)");
    let (mut x, mut y) = (Array::new(Scalar::F32, 4096), Array::new(Scalar::F32, 4096));
    for isa in isas() {
        let kernel = build(&prepare(&kernels::block_sum()), [256, 1, 1], isa);
        let time = least(300, || kernel.run_well([1; 3], &[x.address(), y.address()]));
        println!("block_sum    {:12} {time:18.3}", format!("{isa:?}"));
    }
}

fn main() {
    pipelines();
    instruction_sets();
}
