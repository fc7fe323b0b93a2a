//! How long LLVM takes: to be opened, to compile a first kernel, and to compile more of them.
//!
//! `cargo run --release -p kernelsmith-llvm --example timings`. docs/notes/llvm.md keeps the figures.

use std::time::{Duration, Instant};

use kernelsmith_llvm::{Effort, Error, Jit, Machine, MachineOptions, Output, lld};

const ROUNDS: u32 = 24;

/// A vector loop, of the size of a small kernel. `#` in the name makes each round's its own.
const AXPY: &str = "
define void @axpy#(float %a, ptr %x, ptr %y, i64 %n) {
entry:
  %a0 = insertelement <16 x float> poison, float %a, i32 0
  %as = shufflevector <16 x float> %a0, <16 x float> poison, <16 x i32> zeroinitializer
  br label %loop
loop:
  %i = phi i64 [0, %entry], [%i1, %loop]
  %px = getelementptr float, ptr %x, i64 %i
  %py = getelementptr float, ptr %y, i64 %i
  %xs = load <16 x float>, ptr %px, align 4
  %ys = load <16 x float>, ptr %py, align 4
  %m = fmul contract <16 x float> %as, %xs
  %s = fadd contract <16 x float> %m, %ys
  store <16 x float> %s, ptr %py, align 4
  %i1 = add i64 %i, 16
  %c = icmp ult i64 %i1, %n
  br i1 %c, label %loop, label %done
done:
  ret void
}";

const STORE: &str = "
define amdgpu_kernel void @store#(ptr addrspace(1) %p) {
  %i = call i32 @llvm.amdgcn.workitem.id.x()
  %q = getelementptr i32, ptr addrspace(1) %p, i32 %i
  store i32 %i, ptr addrspace(1) %q
  ret void
}";

fn main() -> Result<(), Error> {
    let start = Instant::now();
    let ((major, minor, patch), path) = kernelsmith_llvm::version()?;
    println!("LLVM {major}.{minor}.{patch}, {}", path.display());
    report("find and open", start.elapsed());
    let (host, time) = timed(|| Machine::host(Effort::Default))?;
    report("this machine, described", time);
    for passes in ["", "default<O1>", "default<O2>", "default<O3>"] {
        cpu(&host, passes)?;
    }
    report("everything so far", start.elapsed());
    for chip in ["gfx942", "gfx1100"] {
        amd(chip)?;
    }
    Ok(())
}

fn cpu(host: &Machine, passes: &str) -> Result<(), Error> {
    let mut compile = Vec::new();
    let mut load = Vec::new();
    for round in 0..ROUNDS {
        let ir = AXPY.replace('#', &round.to_string());
        let (object, time) = timed(|| host.compile(ir, passes, Output::Object))?;
        compile.push(time);
        let (_, time) = timed(|| Jit::load(&object)?.lookup(&format!("axpy{round}")))?;
        load.push(time);
    }
    let passes = if passes.is_empty() { "no passes" } else { passes };
    series(&format!("{}, {passes}: compile", host.options().cpu), &mut compile);
    series("  load and link", &mut load);
    Ok(())
}

fn amd(chip: &str) -> Result<(), Error> {
    let (machine, time) = timed(|| {
        Machine::new(MachineOptions {
            triple: "amdgcn-amd-amdhsa".into(),
            cpu: chip.into(),
            features: String::new(),
            effort: Effort::Aggressive,
        })
    })?;
    report(&format!("{chip}, checked"), time);
    let mut compile = Vec::new();
    let mut link = Vec::new();
    for round in 0..ROUNDS {
        let ir = STORE.replace('#', &round.to_string());
        let (object, time) = timed(|| machine.compile(ir, "default<O2>", Output::Object))?;
        compile.push(time);
        let (_, time) = timed(|| lld::link_shared(&object))?;
        link.push(time);
    }
    series(&format!("{chip}, default<O2>: compile"), &mut compile);
    series("  link", &mut link);
    Ok(())
}

fn timed<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<(T, Duration), Error> {
    let start = Instant::now();
    Ok((work()?, start.elapsed()))
}

fn report(what: &str, time: Duration) {
    println!("{what:40} {:8.2} ms", time.as_secs_f64() * 1e3);
}

/// The first time, and the median and the largest of the others.
fn series(what: &str, times: &mut [Duration]) {
    let ms = |d: Duration| d.as_secs_f64() * 1e3;
    let (first, rest) = times.split_first_mut().expect("at least one round");
    rest.sort();
    let (median, largest) = (rest[rest.len() / 2], rest[rest.len() - 1]);
    println!(
        "{what:40} {:8.2} ms first, {:.2} ms median, {:.2} ms largest",
        ms(*first),
        ms(median),
        ms(largest)
    );
}
