//! The speeds the project promises, as ratios in one interleaved run, as CSV on standard output:
//! `cargo bench --bench ratios`.
//!
//! Columns: case, ours and the other's rate, their unit, the ratio, the least ratio promised.

use std::time::{Duration, Instant};

use kernelsmith::prelude::*;
use kernelsmith_benches::interleave::best_of;
use kernelsmith_kernels::elementwise::saxpy;
use kernelsmith_kernels::matmul::matmul;
use kernelsmith_kernels::norm::softmax;

mod peers;

fn main() {
    println!("case,ours,other,unit,ratio,promised");
    let device = Device::cpu();
    for n in [256usize, 512, 1024] {
        matmul_case(&device, n);
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
    let best = best_of(
        20,
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
    row(&format!("matmul f32 {n}^3 / gemm crate"), ours, theirs, "GFLOP/s", 0.5);
}

/// Against a plain copy by as many threads.
fn bandwidth_cases(device: &Device) {
    let n = 1usize << 26;
    let x = Buffer::from_slice(device, &vec![0.5f32; n]).expect("memory");
    let mut y = Buffer::from_slice(device, &vec![1.0f32; n]).expect("memory");
    let from = vec![1.0f32; n];
    let mut to = vec![0.0f32; n];
    let mut z = y.try_clone().expect("memory");
    let best = best_of(
        10,
        &mut [
            &mut || {
                saxpy(1.5, &x, &mut y).expect("a launch");
                device.synchronize().expect("no failed check");
            },
            &mut || {
                softmax(4096, &x, &mut z).expect("a launch");
                device.synchronize().expect("no failed check");
            },
            &mut || peers::copy(&from, &mut to),
        ],
    );
    let bytes = 4.0 * n as f64;
    // A copy reads and writes; its stores also read the line they write, as saxpy's loads do.
    let copy = rate(2.0 * bytes, best[2]);
    row("saxpy / copy", rate(3.0 * bytes, best[0]), copy, "GB/s", 0.8);
    row("softmax of rows of 4096 / copy", rate(2.0 * bytes, best[1]), copy, "GB/s", 0.8);
    launch_cases(device);
}

/// Absolute times: microseconds and milliseconds of one, against what is promised.
fn launch_cases(device: &Device) {
    let mut y = Buffer::<f32>::zeros(device, 32).expect("memory");
    let first = Instant::now();
    touch(&mut y).block(32).launch(device).expect("a launch");
    let cold = first.elapsed().as_secs_f64() * 1e3;
    let mut best = f64::MAX;
    for _ in 0..50 {
        let start = Instant::now();
        for _ in 0..1000 {
            touch(&mut y).block(32).launch(device).expect("a launch");
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e3);
    }
    println!("launch of 32 threads when cached,{best:.2},5,us,{:.2},1", 5.0 / best);
    println!("first launch of a small kernel,{cold:.2},30,ms,{:.2},1", 30.0 / cold);
}

#[kernel]
fn touch(y: &mut [f32]) {
    let i = thread_idx_x();
    if i < y.len() {
        y[i] += 1.0;
    }
}
