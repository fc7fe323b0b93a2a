//! Kernels bound by memory: `cargo bench --bench bandwidth`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kernelsmith::{Buffer, Device};
use kernelsmith_kernels::elementwise::saxpy;
use kernelsmith_kernels::norm::softmax;

fn benchmark(c: &mut Criterion) {
    let device = Device::cpu();
    let mut group = c.benchmark_group("bandwidth");
    let n = 1 << 26;
    let x = Buffer::<f32>::zeros(&device, n).expect("memory");
    let mut y = Buffer::<f32>::zeros(&device, n).expect("memory");
    group.throughput(Throughput::Bytes(12 * n as u64));
    group.bench_function("saxpy", |bench| {
        bench.iter(|| {
            saxpy(1.5, &x, &mut y).expect("a launch");
            device.synchronize().expect("no failed check");
        });
    });
    group.throughput(Throughput::Bytes(8 * n as u64));
    group.bench_function("softmax of rows of 4096", |bench| {
        bench.iter(|| {
            softmax(4096, &x, &mut y).expect("a launch");
            device.synchronize().expect("no failed check");
        });
    });
    group.finish();
}

criterion_group!(benches, benchmark);
criterion_main!(benches);
