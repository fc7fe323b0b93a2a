//! The CPU's goals: ours against each peer in one interleaved run, as CSV on standard output.
//!
//! ```sh
//! scripts/install-peers
//! cargo bench -p kernelsmith-benches --features peers --bench goals
//! cargo bench -p kernelsmith-benches --features peers --bench goals -- matmul attention --threads 1
//! cargo bench -p kernelsmith-benches --features peers --bench goals -- matmul --only 4096x4096
//! ```
//!
//! Each suite and number of threads is a process of its own, as the peers read how many threads they
//! may use when they start.

mod attention;
mod blas;
mod crates;
mod matmul;
mod python;
mod quant;
mod rows;
mod table;

use std::env;
use std::process::{Command, ExitCode};

/// Names the process that does the work.
const WORKER: &str = "KERNELSMITH_GOALS_WORKER";

/// For 2 to the power of so many cycles OpenBLAS's threads spin for their next work: 0.4 ms rather than the 26
/// ms of its default, in which they have a core of whoever comes next. Calls in a turn follow sooner.
const SPIN: &str = "20";

const SUITES: [&str; 4] = ["matmul", "attention", "quant", "rows"];

fn main() -> ExitCode {
    let result = match env::var(WORKER) {
        Ok(suite) => work(&suite),
        Err(_) => start(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("goals: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Names cases by a part of their name and type, as in `1x4096` or `bf16`.
const ONLY: &str = "KERNELSMITH_GOALS_ONLY";

/// Whether a case was asked for.
fn wanted(name: &str, element: &str) -> bool {
    env::var(ONLY).map_or(true, |only| format!("{name} {element}").contains(&only))
}

fn threads() -> usize {
    env::var("RAYON_NUM_THREADS").ok().and_then(|n| n.parse().ok()).unwrap_or(1)
}

fn work(suite: &str) -> Result<(), String> {
    let mut table = table::Table::new(threads());
    match suite {
        "matmul" => matmul::cases(&mut table),
        "attention" => attention::cases(&mut table),
        "quant" => quant::cases(&mut table),
        _ => rows::cases(&mut table),
    }?;
    table.finish();
    Ok(())
}

/// Starts a process for each suite and number of threads.
fn start() -> Result<(), String> {
    let (mut suites, mut threads) = (Vec::new(), vec!["1".to_owned(), "2".to_owned()]);
    let mut only = None;
    let mut arguments = env::args().skip(1).filter(|a| a != "--bench");
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--threads" => {
                let list = arguments.next().ok_or("--threads needs numbers, as in 1,2")?;
                threads = list.split(',').map(str::to_owned).collect();
            }
            "--only" => {
                let part = arguments.next().ok_or("--only needs a part of a case's name")?;
                only = Some(part);
            }
            suite if SUITES.contains(&suite) => suites.push(argument),
            other => return Err(format!("there is no suite `{other}`; there are {SUITES:?}")),
        }
    }
    if suites.is_empty() {
        suites = SUITES.map(str::to_owned).to_vec();
    }
    let program = env::current_exe().map_err(|e| e.to_string())?;
    println!("{}", table::HEADER);
    for suite in &suites {
        for n in &threads {
            let status = Command::new(&program)
                .env(WORKER, suite)
                .envs(only.iter().map(|part| (ONLY, part)))
                .envs(
                    ["RAYON_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"]
                        .map(|name| (name, n)),
                )
                .env("OPENBLAS_THREAD_TIMEOUT", SPIN)
                .status()
                .map_err(|e| e.to_string())?;
            if !status.success() {
                return Err(format!("{suite} on {n} threads did not end well"));
            }
        }
    }
    Ok(())
}
