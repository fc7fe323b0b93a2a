//! What a launch costs on the CPU: a kernel that writes 64 numbers a block, by number of blocks,
//! next to the same writes in a loop of the caller.
//!
//! `cargo run --release --package kernelsmith-runtime --example launch_overhead`

use std::hint::black_box;
use std::time::{Duration, Instant};

use kernelsmith_runtime::{Args, Buffer, Device, LaunchConfig, Result};

#[path = "../tests/common/mod.rs"]
mod common;

const BLOCK: u32 = 64;
const ROUNDS: usize = 7;

/// The best of several rounds, for one call.
fn best(calls: u32, mut call: impl FnMut() -> Result<()>) -> Result<Duration> {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..calls {
            call()?;
        }
        best = best.min(start.elapsed() / calls);
    }
    Ok(best)
}

fn main() -> Result<()> {
    let device = Device::cpu();
    let stream = device.default_stream();
    let start = Instant::now();
    let kernel = device.compile(&common::fill("fill", true), Some([BLOCK, 1, 1]))?;
    println!("{device}, {} threads", device.limits().compute_units);
    println!("compiled or taken from the cache in {:?}\n", start.elapsed());
    println!("{:>8} {:>12} {:>12}", "blocks", "launch", "loop");
    for blocks in [1, 4, 16, 64, 256, 1024, 4096] {
        let len = (blocks * BLOCK) as usize;
        let mut x = Buffer::<f32>::zeros(&device, len)?;
        let config = LaunchConfig::new([blocks, 1, 1], [BLOCK, 1, 1]);
        let launched = best(2000, || {
            let mut args = Args::new();
            args.slice_mut(x.view_mut()).scalar(2.5f32);
            // SAFETY: a slice and a number are what the kernel takes.
            unsafe { stream.launch(&kernel, &config, args) }
        })?;
        let mut host = vec![0f32; len];
        let looped = best(2000, || {
            black_box(&mut host).fill(black_box(2.5));
            Ok(())
        })?;
        println!("{blocks:>8} {launched:>12.2?} {looped:>12.2?}");
    }
    stream.synchronize()
}
