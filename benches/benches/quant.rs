//! Products with quantised weights of 4096 x 4096, beside plain reading of memory:
//! `cargo bench -p kernelsmith-benches --bench quant`, with words of the weights' names as arguments to pick.
//!
//! Prints CSV. For each kind of weights all candidates take turns, `ROUNDS` times (40), of which the best
//! counts. "memory" takes one matrix after the other out of more than the caches hold, "cache" the same
//! one each time.

use std::env;
use std::hint::black_box;

use kernelsmith::{Buffer, Device, f16};
use kernelsmith_benches::interleave::best_of;
use kernelsmith_benches::memory::read;
use kernelsmith_kernels::quant::{
    Format, Int4Order, Int4Tensors, QuantizedMatrix, quantized_matmul,
};

const SIZE: usize = 4096;

/// More than the last level of cache.
const CROWD: usize = 128 << 20;

/// Rows of activations.
const ROWS: [usize; 4] = [4, 8, 32, 512];

/// Matrices of a kind, as many as the caches do not hold.
fn crowd(one: impl Fn() -> QuantizedMatrix) -> Vec<QuantizedMatrix> {
    let first = one();
    let count = CROWD.div_ceil(first.packed_bytes());
    std::iter::once(first).chain((1..count).map(|_| one())).collect()
}

fn of_format(device: &Device, format: Format) -> Vec<QuantizedMatrix> {
    let weights: Vec<f32> = (0..SIZE * SIZE).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect();
    let bytes = format.quantize(&weights);
    crowd(|| QuantizedMatrix::from_gguf(device, format, [SIZE, SIZE], &bytes).expect("memory"))
}

fn of_int4(device: &Device, group: usize) -> Vec<QuantizedMatrix> {
    let tensors = Int4Tensors {
        shape: [SIZE, SIZE],
        group,
        order: Int4Order::Awq,
        qweight: &vec![0x1234_5678; SIZE * SIZE / 8],
        qzeros: &vec![0x7777_7777; SIZE / 8 * SIZE / group],
        scales: &vec![f16::from_f32(0.01); SIZE * SIZE / group],
    };
    crowd(|| QuantizedMatrix::from_int4(device, &tensors).expect("memory"))
}

fn compare(name: &str, all: &[QuantizedMatrix], device: &Device, rounds: usize) {
    let words = vec![1u64; CROWD / 8];
    let x = ROWS.map(|m| Buffer::from_slice(device, &vec![0.5f32; m * SIZE]).expect("memory"));
    let mut y = ROWS.map(|m| Buffer::<f32>::zeros(device, m * SIZE).expect("memory"));
    let one = Buffer::from_slice(device, &vec![0.5f32; SIZE]).expect("memory");
    let mut out = [0, 1].map(|_| Buffer::<f32>::zeros(device, SIZE).expect("memory"));
    let run = |m: usize, x: &Buffer<f32>, w: &QuantizedMatrix, y: &mut Buffer<f32>| {
        quantized_matmul(m, x, w, y).expect("a launch");
        device.synchronize().expect("no failed check");
    };
    let ([from_memory, from_cache], mut next) = (&mut out, 0);
    let mut plain = || {
        black_box(read(&words));
    };
    let mut memory = || {
        next = (next + 1) % all.len();
        run(1, &one, &all[next], from_memory);
    };
    let mut cache = || run(1, &one, &all[0], from_cache);
    let few = best_of(rounds, &mut [&mut plain, &mut memory, &mut cache]);
    let mut more: Vec<_> = ROWS
        .iter()
        .zip(x.iter().zip(&mut y))
        .map(|(&m, (x, y))| move || run(m, x, &all[0], y))
        .collect();
    let mut more: Vec<&mut dyn FnMut()> = more.iter_mut().map(|f| f as &mut dyn FnMut()).collect();
    let many = best_of(rounds.div_ceil(8), &mut more);
    let bytes = all[0].packed_bytes() as f64;
    let plain = CROWD as f64 / few[0].as_secs_f64() / 1e9;
    println!("plain reading,,memory,{:.0},{plain:.1},", few[0].as_secs_f64() * 1e6);
    let ours = [(1, "memory", few[1]), (1, "cache", few[2])];
    let more = ROWS.iter().zip(&many).map(|(&m, &time)| (m, "cache", time));
    for (m, from, time) in ours.into_iter().chain(more) {
        let (micros, ops) = (time.as_secs_f64() * 1e6, (2 * m * SIZE * SIZE) as f64);
        println!(
            "{name},{m},{from},{micros:.0},{:.1},{:.0}",
            bytes / 1e3 / micros,
            ops / 1e3 / micros
        );
    }
}

fn main() {
    let rounds = env::var("ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(40);
    let wanted: Vec<String> = env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let device = Device::cpu();
    println!("weights,m,from,us,GB/s,GOP/s");
    let pick = |name: &str| wanted.is_empty() || wanted.iter().any(|w| name.contains(w));
    for format in Format::ALL.into_iter().filter(|f| pick(&f.to_string())) {
        compare(&format.to_string(), &of_format(&device, format), &device, rounds);
    }
    for group in [32, 128].into_iter().filter(|g| pick(&format!("int4/{g}"))) {
        compare(&format!("int4/{group}"), &of_int4(&device, group), &device, rounds);
    }
}
