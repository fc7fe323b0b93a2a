//! The main function of a batch of programs.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use kernelsmith::ir::target::{Gfx, Ptx};
use kernelsmith::{Device, Target};
use kernelsmith_codegen_ptx::PtxModule;
use kernelsmith_codegen_ptx::ptxas::Ptxas;

use super::{Compiled, Place, Trial, ptx};

/// Threads that run programs.
fn jobs() -> usize {
    std::thread::available_parallelism().map_or(2, |n| n.get()).min(8)
}

/// The places of a program: devices and code that is only compiled. The targets take turns.
fn places(names: &[String], number: usize) -> Result<Vec<Place>, String> {
    let ptx = ["sm_75", "sm_80", "sm_90", "sm_100", "sm_120"];
    let turn = |target: &str| target.parse::<Target>().map_err(|e| e.to_string());
    let mut places = Vec::new();
    for name in names {
        places.push(match name.as_str() {
            "cpu" => Place::Device("cpu", Device::cpu()),
            "interpreter" => Place::Device("interpreter", Device::interpreter()),
            "cuda" => {
                let device = Device::cuda(0).map_err(|e| e.to_string())?;
                Place::Device("cuda", device)
            }
            "ptx" => match turn(ptx[number % ptx.len()])? {
                Target::Ptx(target) => Place::Ptx(target),
                other => return Err(format!("{other} is no NVIDIA GPU")),
            },
            "amdgcn" => Place::Amdgcn(Gfx::ALL[number % Gfx::ALL.len()]),
            other => {
                return Err(format!("`{other}` is no place: cpu, interpreter, cuda, ptx, amdgcn"));
            }
        });
    }
    Ok(places)
}

/// Tries programs; prints a line `start NAME` and a line `done NAME` for each, and between them a
/// line `fail NAME WHERE: WHAT` for everything that is wrong with it. The arguments are the seed of
/// the inputs and the places; `-NAME` leaves out a program.
pub fn main(programs: &[Compiled]) -> ExitCode {
    std::panic::set_hook(Box::new(|_| {}));
    let mut args = std::env::args().skip(1);
    let seed = args.next().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    let (skip, names): (Vec<String>, Vec<String>) = args.partition(|name| name.starts_with('-'));
    let skips = |name: &str| skip.iter().any(|skip| &skip[1..] == name);
    let (next, modules) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..jobs() {
            scope.spawn(|| {
                while let Some(&(name, tried)) = programs.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    if skips(name) {
                        continue;
                    }
                    say(&format!("start {name}"));
                    let number =
                        name.bytes().fold(0, |all, byte| all * 10 + usize::from(byte) % 16);
                    match places(&names, number) {
                        Ok(places) => {
                            let mut trial = Trial::new(name, seed, &places);
                            trial.run(tried);
                            report(&trial);
                            modules.lock().expect("no panic").append(&mut trial.modules);
                        }
                        Err(error) => say(&format!("fail {name} {error}")),
                    }
                    say(&format!("done {name}"));
                }
            });
        }
    });
    assemble(modules.into_inner().expect("no panic"));
    say("end");
    ExitCode::SUCCESS
}

fn report(trial: &Trial) {
    for failure in &trial.failures {
        say(&format!("fail {} {failure}", trial.name));
    }
}

/// Runs `ptxas` on all modules, a target at a time.
fn assemble(modules: Vec<PtxModule>) {
    if modules.is_empty() {
        return;
    }
    let ptxas = match Ptxas::find() {
        Ok(ptxas) => ptxas,
        Err(missing) => return say(&format!("note PTX was not assembled: {missing}")),
    };
    let mut by_target: BTreeMap<Ptx, Vec<PtxModule>> = BTreeMap::new();
    for module in modules {
        by_target.entry(module.target).or_default().push(module);
    }
    for (target, modules) in by_target {
        for (entry, error) in ptx::assemble(&ptxas, &modules) {
            // Kernels are named after their program: `k17` is of `p17`.
            let name = entry.replacen('k', "p", 1);
            let error = error.lines().collect::<Vec<_>>().join(" | ");
            say(&format!("fail {name} ptxas for {}: {error}", Target::Ptx(target)));
        }
    }
}

/// Prints a line at once, so that it is there if the next program crashes.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let written = writeln!(out, "{line}").and_then(|()| out.flush());
    if written.is_err() {
        std::process::exit(1);
    }
}
