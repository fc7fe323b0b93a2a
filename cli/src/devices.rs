//! `kernelsmith devices`.

use std::process::ExitCode;

use kernelsmith::Device;

use crate::Outcome;

pub(crate) fn run() -> Outcome {
    let available = Device::available();
    for present in &available.present {
        let (device, limits) = (&present.device, present.device.limits());
        println!("{device}");
        println!("  driver          {}", present.driver);
        println!("  target          {}", device.target());
        println!(
            "  threads         {} in a block, {} in a warp",
            limits.max_threads_per_block, limits.warp_size
        );
        println!("  shared memory   {} bytes a block", limits.max_shared_bytes);
        println!("  compute units   {}", limits.compute_units);
        println!("  machine         {}", device.machine());
        if limits.memory_bytes > 0 {
            println!(
                "  memory          {:.1} GiB",
                limits.memory_bytes as f64 / (1u64 << 30) as f64
            );
        }
    }
    for missing in &available.missing {
        match missing.index {
            Some(index) => println!("{} {index}: not usable: {}", missing.kind, missing.reason),
            None => println!("{}: not here: {}", missing.kind, missing.reason),
        }
    }
    Ok(ExitCode::SUCCESS)
}
