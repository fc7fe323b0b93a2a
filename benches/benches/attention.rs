//! Causal flash attention on the CPU: `cargo bench --bench attention`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kernelsmith::{Buffer, Device};
use kernelsmith_kernels::attention::{Attention, flash_attention};

fn benchmark(c: &mut Criterion) {
    let device = Device::cpu();
    let mut group = c.benchmark_group("causal attention f32");
    for (n, d) in [(512usize, 64usize), (2048, 64), (2048, 128)] {
        let xs: Vec<f32> = (0..n * d).map(|i| ((i * 7919) % 1000) as f32 / 500.0 - 1.0).collect();
        let q = Buffer::from_slice(&device, &xs).expect("memory");
        let mut out = Buffer::<f32>::zeros(&device, n * d).expect("memory");
        let attention =
            Attention { queries: n, keys: n, causal: true, scale: 1.0 / (d as f32).sqrt() };
        // Two products over the half of the scores that is seen.
        group.throughput(Throughput::Elements((2 * d * n * (n + 1)) as u64));
        group.bench_function(BenchmarkId::from_parameter(format!("{n}x{d}")), |bench| {
            bench.iter(|| {
                flash_attention(attention, d, &q, &q, &q, &mut out).expect("a launch");
                device.synchronize().expect("no failed check");
            });
        });
    }
    group.finish();
}

criterion_group!(benches, benchmark);
criterion_main!(benches);
