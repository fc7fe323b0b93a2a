//! Products with quantised weights of 4096 x 4096, beside plain reading of memory:
//! `cargo bench -p kernelsmith-benches --bench quant`.
//!
//! Prints CSV. All candidates take turns, `ROUNDS` times (80), of which the best counts. "memory" takes
//! one matrix after the other out of more than the caches hold, "cache" the same one each time.

use std::env;
use std::hint::black_box;

use kernelsmith::{Buffer, Device};
use kernelsmith_benches::interleave::best_of;
use kernelsmith_kernels::quant::{Format, QuantizedMatrix, quantized_matmul};
use rayon::prelude::*;

const SIZE: usize = 4096;

/// More than the last level of cache.
const CROWD: usize = 128 << 20;

/// Matrices of a format, as many as the caches do not hold.
struct Weights {
    name: String,
    all: Vec<QuantizedMatrix>,
    next: usize,
}

impl Weights {
    fn new(device: &Device, format: Format) -> Weights {
        let weights: Vec<f32> =
            (0..SIZE * SIZE).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect();
        let bytes = format.quantize(&weights);
        let count = CROWD.div_ceil(bytes.len());
        let one = |_| QuantizedMatrix::from_gguf(device, format, [SIZE, SIZE], &bytes);
        let all = (0..count).map(|i| one(i).expect("memory")).collect();
        Weights { name: format.to_string(), all, next: 0 }
    }

    fn step(&mut self) -> &QuantizedMatrix {
        self.next = (self.next + 1) % self.all.len();
        &self.all[self.next]
    }
}

/// Reads words as fast as the machine does.
fn read(words: &[u64]) -> u64 {
    let sum = |part: &[u64]| {
        part.chunks(32).fold([0u64; 32], |mut sums, chunk| {
            for (sum, word) in sums.iter_mut().zip(chunk) {
                *sum = sum.wrapping_add(*word);
            }
            sums
        })
    };
    let parts = words.len().div_ceil(rayon::current_num_threads());
    words.par_chunks(parts).map(|part| sum(part).iter().fold(0u64, |a, b| a.wrapping_add(*b))).sum()
}

fn main() {
    let rounds = env::var("ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(80);
    let device = Device::cpu();
    let mut all: Vec<Weights> = Format::ALL.map(|f| Weights::new(&device, f)).into();
    let x = Buffer::from_slice(&device, &vec![0.5f32; 512 * SIZE]).expect("memory");
    let x1 = Buffer::from_slice(&device, &vec![0.5f32; SIZE]).expect("memory");
    let mut y = Buffer::<f32>::zeros(&device, 512 * SIZE).expect("memory");
    let mut y1 = Buffer::<f32>::zeros(&device, SIZE).expect("memory");
    let words = vec![1u64; CROWD / 8];

    println!("weights,m,from,us,GB/s,GOP/s");
    let plain = best_of(
        rounds,
        &mut [&mut || {
            black_box(read(&words));
        }],
    );
    let micros = plain[0].as_secs_f64() * 1e6;
    println!("plain reading,,memory,{micros:.0},{:.1},", CROWD as f64 / 1e3 / micros);
    for weights in &mut all {
        let bytes = weights.all[0].packed_bytes() as f64;
        let ops = 2.0 * (SIZE * SIZE) as f64;
        let (device, name) = (&device, weights.name.clone());
        let mut run = |m: usize, w: &QuantizedMatrix| {
            let (x, y) = if m == 1 { (&x1, &mut y1) } else { (&x, &mut y) };
            quantized_matmul(m, x, w, y).expect("a launch");
            device.synchronize().expect("no failed check");
        };
        let times = best_of(
            rounds,
            &mut [&mut || {
                black_box(read(&words));
            }],
        );
        let mut times = vec![times[0]];
        let memory = best_of(rounds, &mut [&mut || run(1, weights.step())]);
        let cache = best_of(rounds, &mut [&mut || run(1, &weights.all[0])]);
        let many = best_of(rounds.div_ceil(16), &mut [&mut || run(512, &weights.all[0])]);
        times.extend([memory[0], cache[0], many[0]]);
        for (i, (m, from)) in
            [(0, "memory"), (1, "memory"), (1, "cache"), (512, "cache")].iter().enumerate()
        {
            let micros = times[i].as_secs_f64() * 1e6;
            if *m == 0 {
                println!("plain reading,,memory,{micros:.0},{:.1},", CROWD as f64 / 1e3 / micros);
            } else {
                let rate = ops * *m as f64 / 1e3 / micros;
                println!("{name},{m},{from},{micros:.0},{:.1},{rate:.0}", bytes / 1e3 / micros);
            }
        }
    }
}
