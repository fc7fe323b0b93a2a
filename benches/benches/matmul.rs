//! Matmul on the CPU, f32 beside the `gemm` crate, and of smaller numbers:
//! `cargo bench --bench matmul`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kernelsmith::{Buffer, Device, bf16, f16};
use kernelsmith_kernels::matmul::{Factor, Output, matmul};

mod peers;

const SIZES: [usize; 5] = [128, 256, 512, 1024, 2048];

fn number(i: usize) -> f32 {
    ((i * 7919) % 1000) as f32 / 500.0 - 1.0
}

/// Products of square matrices of `T`, in `O`.
fn ours<T: Factor, O: Output<T::Sum>>(c: &mut Criterion, name: &str, element: fn(usize) -> T) {
    let device = Device::cpu();
    let mut group = c.benchmark_group(format!("matmul {name}"));
    for n in SIZES {
        let xs: Vec<T> = (0..n * n).map(element).collect();
        // Elements are operations here: criterion's rate is FLOP/s.
        group.throughput(Throughput::Elements(2 * (n as u64).pow(3)));
        let a = Buffer::from_slice(&device, &xs).expect("memory");
        let b = a.try_clone().expect("memory");
        let mut out = Buffer::<O>::zeros(&device, n * n).expect("memory");
        group.bench_function(BenchmarkId::new("kernelsmith", n), |bench| {
            bench.iter(|| {
                matmul((n, n, n), &a, &b, &mut out).expect("a launch");
                device.synchronize().expect("no failed check");
            });
        });
    }
    group.finish();
}

fn peer(c: &mut Criterion) {
    let mut group = c.benchmark_group("matmul f32");
    for n in SIZES {
        let xs: Vec<f32> = (0..n * n).map(number).collect();
        group.throughput(Throughput::Elements(2 * (n as u64).pow(3)));
        let mut out = vec![0.0f32; n * n];
        group.bench_function(BenchmarkId::new("gemm", n), |bench| {
            bench.iter(|| peers::gemm_f32(n, &xs, &xs, &mut out));
        });
    }
    group.finish();
}

fn benchmark(c: &mut Criterion) {
    ours::<f32, f32>(c, "f32", number);
    peer(c);
    ours::<bf16, bf16>(c, "bf16", |i| bf16::from_f32(number(i)));
    ours::<f16, f16>(c, "f16", |i| f16::from_f32(number(i)));
    ours::<i8, i32>(c, "i8", |i| (number(i) * 127.0) as i8);
    ours::<u8, i32>(c, "u8", |i| (number(i) * 127.0 + 128.0) as u8);
}

criterion_group!(benches, benchmark);
criterion_main!(benches);
