//! Flash attention forward on Hopper, in the shapes of the FlashAttention-3 paper: 16384 tokens, heads
//! of 2048 elements together. `attention.py` of the bundle times PyTorch's in the same ones.

use half::bf16;
use kernelsmith::prelude::*;
use kernelsmith_benches::gpu::normal;
use kernelsmith_kernels::attention::{
    Attention, AttentionElement, AttentionWorkspace, FlashAttention,
};

use super::Outcome;
use super::bench::{Bench, Case, Peer, case};
use super::turns::medians;

/// Queries and keys of a head, and heads of all batches.
pub(super) const SHAPES: [(usize, usize); 3] = [(2048, 8), (4096, 4), (16384, 1)];

pub(super) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    // The longest, of which the goals are, first.
    for (tokens, batch) in SHAPES.into_iter().rev() {
        for d in [128, 64, 256] {
            for causal in [false, true] {
                let name =
                    format!("attention d{d}{} {tokens}", if causal { " causal" } else { "" });
                let shape = ((d, d), tokens, batch, causal);
                cases.push(case(name.clone(), move |bench| one::<bf16>(bench, "", shape)));
                let name = name.replace("attention", "attention fp8");
                cases.push(case(name, move |bench| one::<e4m3>(bench, " fp8", shape)));
            }
        }
        // As DeepSeek-V3's prefill.
        for causal in [false, true] {
            let name =
                format!("attention d192/128{} {tokens}", if causal { " causal" } else { "" });
            let shape = ((192, 128), tokens, batch, causal);
            cases.push(case(name.clone(), move |bench| one::<bf16>(bench, "", shape)));
            let name = name.replace("attention", "attention fp8");
            cases.push(case(name, move |bench| one::<e4m3>(bench, " fp8", shape)));
        }
    }
    for (batch, keys) in [(1, 65536), (16, 8192), (128, 2048)] {
        let name = format!("attention decode {batch}x{keys}");
        cases.push(case(name.clone(), move |bench| decode(bench, batch, keys, None)));
        let name = format!("{name} in pages of 16");
        cases.push(case(name, move |bench| decode(bench, batch, keys, Some(16))));
    }
    for (heads, batch, keys) in [(16, 128, 4096), (64, 64, 8192), (128, 64, 8192), (128, 1, 65536)]
    {
        let name = format!("attention latents {batch}x{heads}x{keys}");
        cases.push(case(name, move |bench| latents(bench, heads, batch, keys)));
    }
    cases
}

/// Whether the device has kernels of attention worth timing.
pub(super) fn is_hopper(bench: &Bench) -> bool {
    *bench.device.target() == kernelsmith::Target::sm(90, true)
}

/// An element that is timed.
trait Timed: AttentionElement {
    fn near(x: f32) -> Self;
}

impl Timed for bf16 {
    fn near(x: f32) -> bf16 {
        bf16::from_f32(x)
    }
}

impl Timed for e4m3 {
    fn near(x: f32) -> e4m3 {
        e4m3::from_f32(x)
    }
}

fn one<T: Timed>(
    bench: &mut Bench,
    of: &str,
    ((d, dv), tokens, batch, causal): ((usize, usize), usize, usize, bool),
) -> Outcome<()> {
    if !is_hopper(bench) {
        return Ok(());
    }
    let (heads, device) = (2048 / dv, &bench.device);
    let numbers = |seed, d| -> Outcome<Buffer<T>> {
        let numbers: Vec<T> =
            normal(batch * tokens * heads * d, seed).into_iter().map(T::near).collect();
        Ok(Buffer::from_slice(device, &numbers)?)
    };
    let (q, k, v) = (numbers(1, d)?, numbers(2, d)?, numbers(3, dv)?);
    let mut o = Buffer::<bf16>::zeros(device, v.len())?;
    let shape = Attention::new(tokens, tokens, d).value_dimension(dv).batch(batch).heads(heads);
    let shape = if causal { shape.causal() } else { shape };
    let mut run = |_: usize| -> Outcome<()> {
        FlashAttention::new(shape).run(&q, &k, &v, &mut o)?;
        Ok(())
    };
    let times = medians(device, &mut [&mut run])?;
    // Causal attention is counted by the work it needs.
    let share = if causal { 0.5 } else { 1.0 };
    let work = 2.0 * (batch * heads * (d + dv)) as f64 * (tokens as f64).powi(2) * share;
    let rate = work / times[0].as_secs_f64() / 1e12;
    let (case, shape) = (
        match d == dv {
            true => format!("attention{of} d{d}{}", if causal { " causal" } else { "" }),
            false => format!("attention{of} d{d}/{dv}{}", if causal { " causal" } else { "" }),
        },
        format!("{batch}x{heads}x{tokens}"),
    );
    bench.row(&case, &shape, rate, "TFLOP/s", Peer::None)
}

/// One query of each of 64 heads in 8 groups, as Llama 3 70B has them: bytes of keys and values a second,
/// against those that a copy reads and writes.
fn decode(bench: &mut Bench, batch: usize, keys: usize, page: Option<usize>) -> Outcome<()> {
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
    let mut workspace = AttentionWorkspace::new(device)?;
    let pages = batch * keys / page.unwrap_or(keys);
    // Neighbours of a sequence lie apart: 61 has no factor in common with numbers of pages.
    let table: Vec<u32> = (0..pages).map(|i| (i * 61 % pages) as u32).collect();
    let table = Buffer::from_slice(device, &table)?;
    let lengths = Buffer::from_slice(device, &vec![keys as u32; batch])?;
    let mut run = |_: usize| -> Outcome<()> {
        let flash = FlashAttention::new(shape).workspace(&mut workspace);
        match page {
            None => flash.run(&q, &k, &v, &mut o)?,
            Some(page) => {
                let [k, v] = [&k, &v].map(|x| View::of(x, [pages, page, kv_heads, d]));
                flash.paged(&table, &lengths).run(&q, k, v, &mut o)?;
            }
        }
        Ok(())
    };
    let times = medians(device, &mut [&mut run])?;
    let rate = 4.0 * k.len() as f64 / times[0].as_secs_f64() / 1e9;
    let pages = page.map_or(String::new(), |page| format!(" in pages of {page}"));
    let shape = format!("{batch}x{heads}/{}x{keys}{pages}", heads / kv_heads);
    let copy = bench.copy.map_or(Peer::None, |copy| Peer::Rate("copy", copy));
    bench.row("attention decode", &shape, rate, "GB/s", copy)
}

/// One query of each of so many heads to latents of 512 columns and 64 of rotary embedding, as DeepSeek-V3
/// has them divided among 8, 2 and no devices: bytes of latents a second, against those that a copy reads and
/// writes, and operations.
fn latents(bench: &mut Bench, heads: usize, batch: usize, keys: usize) -> Outcome<()> {
    if !is_hopper(bench) {
        return Ok(());
    }
    let device = &bench.device;
    let zeros = |len| Buffer::<bf16>::zeros(device, len);
    let (q, k) = (zeros(batch * heads * 576)?, zeros(batch * keys * 576)?);
    let mut o = zeros(batch * heads * 512)?;
    let shape = Attention::new(1, keys, 576).value_dimension(512).batch(batch);
    let shape = shape.heads(heads).kv_heads(1);
    let mut run = |_: usize| -> Outcome<()> {
        FlashAttention::new(shape).run_latent(&q, &k, &mut o)?;
        Ok(())
    };
    let seconds = medians(device, &mut [&mut run])?[0].as_secs_f64();
    let bytes = 2.0 * k.len() as f64 / seconds / 1e9;
    let work = 2.0 * (576 + 512) as f64 * (batch * heads * keys) as f64 / seconds / 1e12;
    let shape = format!("{batch}x{heads}x{keys}");
    let copy = bench.copy.map_or(Peer::None, |copy| Peer::Rate("copy", copy));
    bench.row("attention latents", &shape, bytes, "GB/s", copy)?;
    bench.row("attention latents", &shape, work, "TFLOP/s", Peer::None)
}
