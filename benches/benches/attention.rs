//! Causal flash attention on the CPU beside the same composed of the `gemm` crate's products:
//! `cargo bench --bench attention`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kernelsmith::{Buffer, Device};
use kernelsmith_kernels::attention::{
    Attention, FlashAttention, Forward, Gradients, flash_attention, flash_attention_backward,
};

mod peers;

fn benchmark(c: &mut Criterion) {
    let device = Device::cpu();
    let mut group = c.benchmark_group("causal attention f32");
    for (n, d) in [(512usize, 64usize), (2048, 64), (2048, 128)] {
        let xs: Vec<f32> = (0..n * d).map(|i| ((i * 7919) % 1000) as f32 / 500.0 - 1.0).collect();
        let q = Buffer::from_slice(&device, &xs).expect("memory");
        let mut out = Buffer::<f32>::zeros(&device, n * d).expect("memory");
        let attention = Attention::new(n, n, d).causal();
        // Two products over the half of the scores that is seen.
        group.throughput(Throughput::Elements((2 * d * n * (n + 1)) as u64));
        let shape = format!("{n}x{d}");
        group.bench_function(BenchmarkId::new("kernelsmith", &shape), |bench| {
            bench.iter(|| {
                flash_attention(attention, &q, &q, &q, &mut out).expect("a launch");
                device.synchronize().expect("no failed check");
            });
        });
        let (mut scores, mut composed) = (vec![0.0; n * n], vec![0.0; n * d]);
        group.bench_function(BenchmarkId::new("gemm", &shape), |bench| {
            bench.iter(|| {
                peers::causal_attention((n, d), (&xs, &xs, &xs), &mut scores, &mut composed);
            });
        });
        // What was timed is also the same.
        let ours = out.to_vec().expect("a copy");
        let close = ours.iter().zip(&composed).all(|(a, b)| (a - b).abs() < 1e-4);
        assert!(close, "the results differ");
    }
    group.finish();
}

/// One query a head to many keys: bytes of K and V.
fn decode(c: &mut Criterion) {
    let device = Device::cpu();
    let mut group = c.benchmark_group("decode f32");
    for (heads, keys, d) in [(8usize, 4096usize, 64usize), (32, 16384, 128)] {
        let xs: Vec<f32> =
            (0..heads * keys * d).map(|i| ((i * 7919) % 1000) as f32 / 500.0 - 1.0).collect();
        let k = Buffer::from_slice(&device, &xs).expect("memory");
        let v = k.try_clone().expect("memory");
        let q = Buffer::from_slice(&device, &xs[..heads * d]).expect("memory");
        let mut out = Buffer::<f32>::zeros(&device, heads * d).expect("memory");
        let attention = Attention::new(1, keys, d).heads(heads);
        group.throughput(Throughput::Bytes(8 * (heads * keys * d) as u64));
        group.bench_function(format!("{heads}x{keys}x{d}"), |bench| {
            bench.iter(|| {
                flash_attention(attention, &q, &k, &v, &mut out).expect("a launch");
                device.synchronize().expect("no failed check");
            });
        });
    }
    group.finish();
}

/// Gradients of causal attention, five products over the half of the scores that is seen.
fn backward(c: &mut Criterion) {
    let device = Device::cpu();
    let mut group = c.benchmark_group("causal attention backward f32");
    for (heads, n, d) in [(1usize, 512usize, 64usize), (1, 2048, 64), (8, 1024, 64), (1, 2048, 128)]
    {
        let len = heads * n * d;
        let xs: Vec<f32> = (0..len).map(|i| ((i * 7919) % 1000) as f32 / 500.0 - 1.0).collect();
        let q = Buffer::from_slice(&device, &xs).expect("memory");
        let zeros = |len| Buffer::<f32>::zeros(&device, len).expect("memory");
        let (mut out, mut lse) = (zeros(len), zeros(heads * n));
        let [mut dq, mut dk, mut dv] = [zeros(len), zeros(len), zeros(len)];
        let attention = Attention::new(n, n, d).heads(heads).causal();
        let forward = FlashAttention::new(attention).lse(&mut lse);
        forward.run(&q, &q, &q, &mut out).expect("a launch");
        group.throughput(Throughput::Elements((5 * d * heads * n * (n + 1)) as u64));
        group.bench_function(format!("{heads}x{n}x{d}"), |bench| {
            bench.iter(|| {
                let forward = Forward { q: &q, k: &q, v: &q, out: &out, lse: &lse };
                let to = Gradients { dq: &mut dq, dk: &mut dk, dv: &mut dv };
                flash_attention_backward(attention, forward, &q, to).expect("a launch");
                device.synchronize().expect("no failed check");
            });
        });
    }
    group.finish();
}

criterion_group!(benches, benchmark, decode, backward);
criterion_main!(benches);
