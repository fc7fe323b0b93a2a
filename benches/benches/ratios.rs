//! The speeds the project promises, as ratios in one interleaved run, as CSV on standard output:
//! `cargo bench --bench ratios`.
//!
//! Columns: case, ours and the other's rate, their unit, the ratio, the least ratio promised.

use std::process::Command;
use std::time::{Duration, Instant};

use kernelsmith::prelude::*;
use kernelsmith_benches::interleave::best_of;
use kernelsmith_kernels::elementwise::saxpy;
use kernelsmith_kernels::matmul::{Factor, Output, matmul};
use kernelsmith_kernels::norm::{rms_norm, softmax};

mod peers;

fn main() {
    if std::env::args().any(|a| a == COLD) {
        return println!("{}", first_launch());
    }
    println!("case,ours,other,unit,ratio,promised");
    let device = Device::cpu();
    for n in [64usize, 128, 256, 512, 1024, 2048] {
        matmul_case(&device, n);
    }
    for n in [512usize, 1024, 2048] {
        small_numbers_case(&device, n);
    }
    bandwidth_cases(&device);
}

fn row(case: &str, ours: f64, other: f64, unit: &str, promised: f64) {
    println!("{case},{ours:.2},{other:.2},{unit},{:.2},{promised}", ours / other);
}

fn rate(work: f64, time: Duration) -> f64 {
    work / time.as_secs_f64() / 1e9
}

fn matmul_case(device: &Device, n: usize) {
    let xs: Vec<f32> = (0..n * n).map(|i| ((i * 7919) % 1000) as f32 / 500.0 - 1.0).collect();
    let a = Buffer::from_slice(device, &xs).expect("memory");
    let b = a.try_clone().expect("memory");
    let mut ours = Buffer::<f32>::zeros(device, n * n).expect("memory");
    let mut theirs = vec![0.0f32; n * n];
    let rounds = (1 << 34) / (n * n * n);
    let best = best_of(
        rounds.clamp(10, 1000),
        &mut [
            &mut || {
                matmul((n, n, n), &a, &b, &mut ours).expect("a launch");
                device.synchronize().expect("no failed check");
            },
            &mut || peers::gemm_f32(n, &xs, &xs, &mut theirs),
        ],
    );
    // What was timed is also right.
    let ours = ours.to_vec().expect("a copy");
    let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-3 * n as f32;
    assert!(ours.iter().zip(&theirs).all(close), "the products differ");
    let flops = 2.0 * (n as f64).powi(3);
    let [ours, theirs] = [best[0], best[1]].map(|t| rate(flops, t));
    row(&format!("matmul f32 {n}^3 / gemm crate"), ours, theirs, "GFLOP/s", 0.9);
}

/// Products of smaller numbers beside those of f32: the processor's instructions for bf16 take twice as
/// many a cycle, those for bytes four times, and f16 is converted to f32.
fn small_numbers_case(device: &Device, n: usize) {
    let number = |i: usize| ((i * 7919) % 1000) as f32 / 500.0 - 1.0;
    let numbers = || (0..n * n).map(number);
    let full = Square::<f32, f32>::new(device, n, numbers().collect());
    let pairs = Square::<bf16, bf16>::new(device, n, numbers().map(bf16::from_f32).collect());
    let half = Square::<f16, f16>::new(device, n, numbers().map(f16::from_f32).collect());
    let bytes = Square::<i8, i32>::new(device, n, numbers().map(|x| (x * 127.0) as i8).collect());
    let (mut full, mut pairs, mut half, mut bytes) = (full, pairs, half, bytes);
    let best = best_of(
        ((1 << 34) / (n * n * n)).clamp(10, 100),
        &mut [&mut || full.run(), &mut || pairs.run(), &mut || half.run(), &mut || bytes.run()],
    );
    let [full, pairs, half, bytes] = [0, 1, 2, 3].map(|i| rate(2.0 * (n as f64).powi(3), best[i]));
    let twice = if device.limits().has_dot2 { 1.8 } else { 0.9 };
    row(&format!("matmul bf16 {n}^3 / f32"), pairs, full, "GFLOP/s", twice);
    row(&format!("matmul f16 {n}^3 / f32"), half, full, "GFLOP/s", 0.9);
    row(&format!("matmul i8 {n}^3 / f32"), bytes, full, "GOP/s", 0.9);
}

/// A square matrix and room for its square.
struct Square<T: Num, O: Num> {
    n: usize,
    a: Buffer<T>,
    c: Buffer<O>,
}

impl<T: Factor, O: Output<T::Sum>> Square<T, O> {
    fn new(device: &Device, n: usize, elements: Vec<T>) -> Square<T, O> {
        let a = Buffer::from_slice(device, &elements).expect("memory");
        Square { n, a, c: Buffer::zeros(device, n * n).expect("memory") }
    }

    fn run(&mut self) {
        let shape = (self.n, self.n, self.n);
        matmul(shape, &self.a, &self.a, &mut self.c).expect("a launch");
        self.c.device().synchronize().expect("no failed check");
    }
}

/// Against the better of a copy and a plain loop by as many threads.
fn bandwidth_cases(device: &Device) {
    let n = 1usize << 26;
    let x = Buffer::from_slice(device, &vec![0.5f32; n]).expect("memory");
    let mut y = Buffer::from_slice(device, &vec![1.0f32; n]).expect("memory");
    let from = vec![1.0f32; n];
    let mut to = vec![0.0f32; n];
    let mut scaled = vec![0.5f32; n];
    let mut z = y.try_clone().expect("memory");
    let mut normed = z.try_clone().expect("memory");
    let weight = Buffer::from_slice(device, &[1.0f32; 4096]).expect("memory");
    let best = best_of(
        10,
        &mut [
            &mut || {
                saxpy(1.5, &x, &mut y).expect("a launch");
                device.synchronize().expect("no failed check");
            },
            &mut || {
                rms_norm(4096, 1e-6, &x, &weight, &mut normed).expect("a launch");
                device.synchronize().expect("no failed check");
            },
            &mut || {
                softmax(4096, &x, &mut z).expect("a launch");
                device.synchronize().expect("no failed check");
            },
            &mut || peers::copy(&from, &mut to),
            &mut || peers::scale(&from, &mut scaled),
        ],
    );
    let bytes = 4.0 * n as f64;
    // Bytes that a program sees: stores may also read the line they write, for all alike.
    let memory = rate(2.0 * bytes, best[3].min(best[4]));
    row("saxpy / copy or scale", rate(3.0 * bytes, best[0]), memory, "GB/s", 0.8);
    row("softmax of rows of 4096 / copy or scale", rate(2.0 * bytes, best[2]), memory, "GB/s", 0.8);
    row(
        "rms_norm of rows of 4096 / copy or scale",
        rate(2.0 * bytes, best[1]),
        memory,
        "GB/s",
        0.8,
    );
    launch_cases(device);
}

/// The argument with which this program runs itself to see what a first launch costs.
const COLD: &str = "--cold";

/// Milliseconds of a process's first launch: LLVM is opened, the kernel staged and compiled.
fn first_launch() -> f64 {
    let device = Device::cpu();
    let mut y = Buffer::<f32>::zeros(&device, 32).expect("memory");
    let first = Instant::now();
    touch(&mut y).block(32).launch(&device).expect("a launch");
    first.elapsed().as_secs_f64() * 1e3
}

/// The best first launch of several processes, which find no compiled kernel on disk.
fn cold_launch() -> f64 {
    let own = std::env::current_exe().expect("a path");
    let times = (0..10).map(|_| {
        let mut command = Command::new(&own);
        let output = command.arg(COLD).env("KERNELSMITH_CACHE", "off").output().expect("a process");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.trim().parse().unwrap_or_else(|_| panic!("a process printed {text:?}"))
    });
    times.fold(f64::MAX, f64::min)
}

/// Absolute times: microseconds and milliseconds of one, against what is promised.
fn launch_cases(device: &Device) {
    let cold = cold_launch();
    let mut y = Buffer::<f32>::zeros(device, 32).expect("memory");
    let mut best = f64::MAX;
    for _ in 0..50 {
        let start = Instant::now();
        for _ in 0..1000 {
            touch(&mut y).block(32).launch(device).expect("a launch");
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e3);
    }
    println!("launch of 32 threads when cached,{best:.2},5,us,{:.2},1", 5.0 / best);
    println!("first launch of a process,{cold:.2},30,ms,{:.2},1", 30.0 / cold);
}

#[kernel]
fn touch(y: &mut [f32]) {
    let i = thread_idx_x();
    if i < y.len() {
        y[i] += 1.0;
    }
}
