//! Flash attention forward on Hopper, in the shapes of the FlashAttention-3 paper: 16384 tokens, heads
//! of 2048 elements together. `attention.py` of the bundle times PyTorch's in the same ones.

use half::bf16;
use kernelsmith::prelude::*;
use kernelsmith_benches::gpu::normal;
use kernelsmith_kernels::attention::{Attention, FlashAttention};

use super::Outcome;
use super::bench::{Bench, Case, Peer, case};
use super::turns::medians;

/// Queries and keys of a head, and heads of all batches.
const SHAPES: [(usize, usize); 3] = [(2048, 8), (4096, 4), (16384, 1)];

pub(super) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    // The longest, of which the goals are, first.
    for (tokens, batch) in SHAPES.into_iter().rev() {
        for d in [128, 64, 256] {
            for causal in [false, true] {
                let name =
                    format!("attention d{d}{} {tokens}", if causal { " causal" } else { "" });
                cases.push(case(name, move |bench| one(bench, d, tokens, batch, causal)));
            }
        }
    }
    for (batch, keys) in [(1, 65536), (16, 8192), (128, 2048)] {
        let name = format!("attention decode {batch}x{keys}");
        cases.push(case(name, move |bench| decode(bench, batch, keys)));
    }
    cases
}

/// Whether the device has kernels of attention worth timing.
fn is_hopper(bench: &Bench) -> bool {
    *bench.device.target() == kernelsmith::Target::sm(90, true)
}

fn one(bench: &mut Bench, d: usize, tokens: usize, batch: usize, causal: bool) -> Outcome<()> {
    if !is_hopper(bench) {
        return Ok(());
    }
    let (heads, device) = (2048 / d, &bench.device);
    let numbers = |seed| -> Outcome<Buffer<bf16>> {
        let numbers: Vec<bf16> =
            normal(batch * tokens * 2048, seed).into_iter().map(bf16::from_f32).collect();
        Ok(Buffer::from_slice(device, &numbers)?)
    };
    let (q, k, v) = (numbers(1)?, numbers(2)?, numbers(3)?);
    let mut o = Buffer::<bf16>::zeros(device, q.len())?;
    let shape = Attention::new(tokens, tokens, d).batch(batch).heads(heads);
    let shape = if causal { shape.causal() } else { shape };
    let mut run = |_: usize| -> Outcome<()> {
        FlashAttention::new(shape).run(&q, &k, &v, &mut o)?;
        Ok(())
    };
    let times = medians(device, &mut [&mut run])?;
    // Causal attention is counted by the work it needs.
    let share = if causal { 0.5 } else { 1.0 };
    let work = 4.0 * (batch * heads * d) as f64 * (tokens as f64).powi(2) * share;
    let rate = work / times[0].as_secs_f64() / 1e12;
    let (case, shape) = (
        format!("attention d{d}{}", if causal { " causal" } else { "" }),
        format!("{batch}x{heads}x{tokens}"),
    );
    bench.row(&case, &shape, rate, "TFLOP/s", Peer::None)
}

/// One query of each of 64 heads in 8 groups, as Llama 3 70B has them: bytes of keys and values a second,
/// against those that a copy reads and writes.
fn decode(bench: &mut Bench, batch: usize, keys: usize) -> Outcome<()> {
    if !is_hopper(bench) {
        return Ok(());
    }
    let device = &bench.device;
    let (d, heads, kv_heads) = (128, 64, 8);
    let zeros = |len| Buffer::<bf16>::zeros(device, len);
    let q = zeros(batch * heads * d)?;
    let (k, v) = (zeros(batch * kv_heads * keys * d)?, zeros(batch * kv_heads * keys * d)?);
    let mut o = zeros(q.len())?;
    let shape = Attention::new(1, keys, d).batch(batch).heads(heads).kv_heads(kv_heads);
    let mut run = |_: usize| -> Outcome<()> {
        FlashAttention::new(shape).run(&q, &k, &v, &mut o)?;
        Ok(())
    };
    let times = medians(device, &mut [&mut run])?;
    let rate = 4.0 * k.len() as f64 / times[0].as_secs_f64() / 1e9;
    let shape = format!("{batch}x{heads}/{}x{keys}", heads / kv_heads);
    let copy = bench.copy.map_or(Peer::None, |copy| Peer::Rate("copy", copy));
    bench.row("attention decode", &shape, rate, "GB/s", copy)
}
