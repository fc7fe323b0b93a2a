//! The tour: kernels of the library on the best device here, checked against f64 references, and
//! then compiled for GPUs that need not be here.
//!
//! `cargo run --release --example tour`

mod cases;
mod table;
mod targets;

use std::process::ExitCode;

use kernelsmith::Device;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("tour: a result is further from its reference than it may be");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("tour: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every result is right.
fn run() -> Result<bool, Box<dyn std::error::Error>> {
    let device = Device::best();
    println!(
        "Devices: {}",
        Device::available().to_string().trim_end().replace('\n', "\n         ")
    );
    println!("\nOn {device}:\n");
    let right = cases::run(&device)?;
    println!("\nThe same kernels, compiled for GPUs that need not be here:\n");
    targets::run()?;
    Ok(right)
}
