//! What a launch costs when there is nothing to do: `cargo bench --bench latency`.

use criterion::{Criterion, criterion_group, criterion_main};
use kernelsmith::prelude::*;

#[kernel]
fn touch(y: &mut [f32]) {
    let i = thread_idx_x();
    if i < y.len() {
        y[i] += 1.0;
    }
}

/// A block's sum with a barrier after each of eight halvings.
#[kernel(block = 256)]
fn block_sum(x: &[f32], y: &mut [f32]) {
    let tile = shared::<f32>(256);
    let t = thread_idx_x();
    tile[t] = x[t];
    barrier();
    for step in unroll([128, 64, 32, 16, 8, 4, 2, 1]) {
        if t < step {
            tile[t] += tile[t + step];
        }
        barrier();
    }
    if t == 0 {
        y[0] = tile[0];
    }
}

fn benchmark(c: &mut Criterion) {
    let device = Device::cpu();
    let x = Buffer::<f32>::zeros(&device, 256).expect("memory");
    let mut y = Buffer::<f32>::zeros(&device, 32).expect("memory");
    c.bench_function("launch of 32 threads", |bench| {
        bench.iter(|| touch(&mut y).block(32).launch(&device).expect("a launch"));
    });
    c.bench_function("sum of 256 threads, 9 barriers", |bench| {
        bench.iter(|| block_sum(&x, &mut y).launch(&device).expect("a launch"));
    });
}

criterion_group!(benches, benchmark);
criterion_main!(benches);
