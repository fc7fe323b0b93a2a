//! What passes before anything is computed: launches and first compiles, against the project's goals.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};
use std::{env, fs, process};

use kernelsmith::prelude::*;
use kernelsmith_benches::gpu;
use kernelsmith_kernels::matmul::Matmul;

use super::Outcome;
use super::bench::{Bench, Case, Peer, case};
use super::turns::median;

/// The argument with which this program times one first compile, in a process of its own.
pub(crate) const FIRST_COMPILE: &str = "--first-compile";

/// Microseconds not to be exceeded.
const LAUNCH: f64 = 4.0;
const COMPILE: f64 = 150_000.0;
const CACHED: f64 = 5_000.0;

/// Launches that follow each other; fewer than a stream's queue holds.
const LAUNCHES: u32 = 200;

pub(crate) fn all() -> Vec<Case> {
    vec![case("launch", launch), case("first compile", compile)]
}

#[kernel]
fn touch(y: &mut [f32]) {
    let i = thread_idx_x();
    if i < y.len() {
        y[i] = 1.0;
    }
}

/// How long the calling thread takes for one of many launches.
fn each(device: &Device, mut launch: impl FnMut() -> Outcome<()>) -> Outcome<f64> {
    launch()?;
    let mut times = Vec::new();
    for _ in 0..21 {
        device.synchronize()?;
        let start = Instant::now();
        for _ in 0..LAUNCHES {
            launch()?;
        }
        times.push(start.elapsed() / LAUNCHES);
    }
    device.synchronize()?;
    Ok(micros(median(times)))
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn launch(bench: &mut Bench) -> Outcome<()> {
    let device = bench.device.clone();
    let mut y = Buffer::<f32>::zeros(&device, 32)?;
    let kernel = each(&device, || Ok(touch(&mut y).block(32).launch(&device)?))?;
    bench.row("launch", "a kernel", kernel, "us", Peer::Goal(LAUNCH))?;
    let mut product = Product::new(&device)?;
    let product = each(&device, || product.run())?;
    bench.row("launch", "a matmul", product, "us", Peer::Goal(LAUNCH))
}

/// A small product in bf16.
struct Product([Buffer<bf16>; 3]);

impl Product {
    const SIZE: usize = 512;

    fn new(device: &Device) -> Outcome<Product> {
        let zeros = || Buffer::zeros(device, Product::SIZE * Product::SIZE);
        Ok(Product([zeros()?, zeros()?, zeros()?]))
    }

    fn run(&mut self) -> Outcome<()> {
        let (Product([a, b, c]), shape) = (self, [Product::SIZE; 2]);
        let (a, b) = (View::of(&*a, shape), View::of(&*b, shape).transposed());
        Ok(Matmul::new(a, b).run(View::of_mut(c, shape))?)
    }
}

/// The first product of a process, with empty caches and then with those that it left.
fn compile(bench: &mut Bench) -> Outcome<()> {
    let folder = env::temp_dir().join(format!("kernelsmith-gpu-bench-{}", process::id()));
    fs::create_dir_all(&folder)?;
    let rows = [("without cache", COMPILE), ("with cache", CACHED)].into_iter().try_for_each(
        |(shape, goal)| {
            bench.row("first compile", shape, in_process(&folder)?, "us", Peer::Goal(goal))
        },
    );
    fs::remove_dir_all(&folder)?;
    rows
}

/// Runs [`first_compile`] with the caches in a folder: ours, and the driver's of assembled code.
fn in_process(folder: &Path) -> Outcome<f64> {
    let output = Command::new(env::current_exe()?)
        .arg(FIRST_COMPILE)
        .env("KERNELSMITH_CACHE", "on")
        .env("KERNELSMITH_CACHE_DIR", folder.join("ours"))
        .env("CUDA_CACHE_PATH", folder.join("driver"))
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// Prints the microseconds of the first product beyond those of the second: staging, compiling, assembling
/// and loading its kernel.
pub(crate) fn first_compile() -> Outcome<ExitCode> {
    let (device, _) = gpu::device()?;
    let mut product = Product::new(&device)?;
    // The driver's own beginnings are not counted.
    let mut y = Buffer::<f32>::zeros(&device, 32)?;
    touch(&mut y).block(32).launch(&device)?;
    device.synchronize()?;
    let mut timed = || -> Outcome<f64> {
        let start = Instant::now();
        product.run()?;
        device.synchronize()?;
        Ok(micros(start.elapsed()))
    };
    let (first, second) = (timed()?, timed()?);
    println!("{}", first - second);
    Ok(ExitCode::SUCCESS)
}
