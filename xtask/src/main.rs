//! Kernelsmith's build tasks: `cargo xtask TASK`.

mod gpu_bundle;

use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask TASK

Tasks:
  gpu-bundle   build the hardware tests and benchmarks into gpu-bundle/, to be run with
               gpu-bundle/run.sh on a machine that has an NVIDIA driver and no Rust";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args[..] {
        ["gpu-bundle"] => gpu_bundle::build(),
        [] | ["help" | "-h" | "--help"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        [task, ..] => Err(format!("unknown task `{task}`\n\n{USAGE}").into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
