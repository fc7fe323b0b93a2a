//! Flash attention forward on Hopper, in the shapes of the FlashAttention-3 paper: 16384 tokens, heads
//! of 2048 elements together. `attention.py` of the bundle times PyTorch's in the same ones.

use half::bf16;
use kernelsmith::prelude::*;
use kernelsmith_benches::gpu::{Csv, normal};
use kernelsmith_kernels::attention::{Attention, FlashAttention};

use super::{Outcome, best_of};

/// Queries and keys of a head, and heads of all batches.
const SHAPES: [(usize, usize); 3] = [(2048, 8), (4096, 4), (16384, 1)];

pub(super) fn all(device: &Device, csv: &mut Csv) -> Outcome<()> {
    if *device.target() != kernelsmith::Target::sm(90, true) {
        return Ok(());
    }
    for (tokens, batch) in SHAPES {
        for causal in [false, true] {
            for d in [64, 128, 256] {
                one(device, csv, d, tokens, batch, causal)?;
            }
        }
    }
    for (batch, keys) in [(1, 65536), (16, 8192), (128, 2048)] {
        decode(device, csv, batch, keys)?;
    }
    Ok(())
}

fn one(
    device: &Device,
    csv: &mut Csv,
    d: usize,
    tokens: usize,
    batch: usize,
    causal: bool,
) -> Outcome<()> {
    let heads = 2048 / d;
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
    let times = best_of(device, 10, &mut [&mut run])?;
    // Causal attention is counted by the work it needs.
    let share = if causal { 0.5 } else { 1.0 };
    let work = 4.0 * (batch * heads * d) as f64 * (tokens as f64).powi(2) * share;
    let rate = work / times[0].as_secs_f64() / 1e12;
    let (case, shape) = (
        format!("attention d{d}{}", if causal { " causal" } else { "" }),
        format!("{batch}x{heads}x{tokens}"),
    );
    println!("{case:22} {shape:16} {rate:9.1} TFLOP/s");
    csv.row(&format!("{case},{shape},{rate:.2},TFLOP/s,,,"))?;
    Ok(())
}

/// One query of each of 64 heads in 8 groups, as Llama 3 70B has them: bytes of keys and values a second.
fn decode(device: &Device, csv: &mut Csv, batch: usize, keys: usize) -> Outcome<()> {
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
    let times = best_of(device, 10, &mut [&mut run])?;
    let rate = 4.0 * k.len() as f64 / times[0].as_secs_f64() / 1e9;
    let shape = format!("{batch}x{heads}/{}x{keys}", heads / kv_heads);
    println!("{:22} {shape:16} {rate:9.1} GB/s", "attention decode");
    csv.row(&format!("attention decode,{shape},{rate:.2},GB/s,,,"))?;
    Ok(())
}
