//! f32 matmul on the CPU beside the `gemm` crate: `cargo bench --bench matmul`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kernelsmith::{Buffer, Device};
use kernelsmith_kernels::matmul::matmul;

mod peers;

fn benchmark(c: &mut Criterion) {
    let device = Device::cpu();
    let mut group = c.benchmark_group("matmul f32");
    for n in [128usize, 256, 512, 1024, 2048] {
        let xs: Vec<f32> = (0..n * n).map(|i| ((i * 7919) % 1000) as f32 / 500.0 - 1.0).collect();
        // Elements are operations here: criterion's rate is FLOP/s.
        group.throughput(Throughput::Elements(2 * (n as u64).pow(3)));
        let a = Buffer::from_slice(&device, &xs).expect("memory");
        let b = a.try_clone().expect("memory");
        let mut out = Buffer::<f32>::zeros(&device, n * n).expect("memory");
        group.bench_function(BenchmarkId::new("kernelsmith", n), |bench| {
            bench.iter(|| {
                matmul((n, n, n), &a, &b, &mut out).expect("a launch");
                device.synchronize().expect("no failed check");
            });
        });
        let mut out = vec![0.0f32; n * n];
        group.bench_function(BenchmarkId::new("gemm", n), |bench| {
            bench.iter(|| peers::gemm_f32(n, &xs, &xs, &mut out));
        });
    }
    group.finish();
}

criterion_group!(benches, benchmark);
criterion_main!(benches);
