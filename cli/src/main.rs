//! The `kernelsmith` command: what is here, what kernels become, what is missing.

mod annotate;
mod devices;
mod doctor;
mod emit;
mod tune;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// GPU kernels in Rust: devices, generated code, and the state of this machine.
#[derive(Parser)]
#[command(name = "kernelsmith", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Lists the devices that are here, and why others are not.
    Devices,
    /// Prints what a kernel of the library becomes; without a kernel, lists them.
    Emit(emit::Arguments),
    /// Checks everything Kernelsmith uses on this machine.
    Doctor,
    /// Searches for the best block shapes on this machine, and keeps them.
    Tune(tune::Arguments),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Devices => devices::run(),
        Command::Emit(arguments) => emit::run(&arguments),
        Command::Doctor => doctor::run(),
        Command::Tune(arguments) => tune::run(&arguments),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("kernelsmith: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What a subcommand ends with.
type Outcome = Result<ExitCode, Box<dyn std::error::Error>>;
