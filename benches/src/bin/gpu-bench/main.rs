//! Every hardware benchmark: `gpu-bench --csv FILE [--seconds N] [--only TEXT]`. One line and one CSV row a
//! shape, and a geometric mean of the ratios. Exit status: 0 all ran, 1 something failed, 3 there is no GPU.
//!
//! Bandwidth is compared with a plain copy, matmul with the best of cuBLASLt's heuristics, in turns within one
//! run; times are medians. What matters most comes first, so that `--seconds` drops what matters least.

mod attention;
mod bandwidth;
mod bench;
mod gradients;
mod latency;
mod matmul;
mod quant;
mod turns;

use std::process::ExitCode;

use kernelsmith_benches::gpu::{self, Arguments};

use bench::{Bench, Case};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(latency::FIRST_COMPILE) {
        return exit(latency::first_compile());
    }
    exit(benchmarks())
}

fn exit(result: Outcome<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        eprintln!("gpu-bench: {error}");
        ExitCode::FAILURE
    })
}

fn benchmarks() -> Outcome<ExitCode> {
    let arguments = Arguments::of_command_line()?;
    let (device, driver) = match gpu::device() {
        Ok(found) => found,
        Err(reason) => return Ok(gpu::no_gpu(&reason)),
    };
    println!("{device}, {driver}");
    let mut bench = Bench::new(&device, &driver, &arguments.csv)?;
    let (mut dropped, mut failed) = (Vec::new(), 0);
    for case in all().into_iter().filter(|case| case.name.contains(&arguments.only)) {
        if !arguments.has_time() {
            dropped.push(case.name);
        } else if let Err(error) = (case.run)(&mut bench) {
            println!("FAILED {}: {error}", case.name);
            failed += 1;
        }
    }
    bench.tell_means();
    gpu::tell_dropped(&dropped);
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Every benchmark, by importance.
fn all() -> Vec<Case> {
    let first = [bandwidth::all(), latency::all(), matmul::first(), attention::all()];
    let rest = [gradients::all(), quant::all(), matmul::rest()];
    first.into_iter().chain(rest).flatten().collect()
}
