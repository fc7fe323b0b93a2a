//! Flash attention forward on Hopper, in the shapes of the FlashAttention-3 paper: 16384 tokens, heads
//! of 2048 elements together. `attention.py` of the bundle times PyTorch's in the same ones.

use half::bf16;
use kernelsmith::prelude::*;
use kernelsmith_benches::gpu::{Csv, normal};
use kernelsmith_kernels::attention::hopper::attention_forward;

use super::{Outcome, best_of};

/// Queries and keys of a head, and heads of all batches.
const SHAPES: [(usize, usize); 3] = [(2048, 8), (4096, 4), (16384, 1)];

pub(super) fn all(device: &Device, csv: &mut Csv) -> Outcome<()> {
    if *device.target() != kernelsmith::Target::sm(90, true) {
        return Ok(());
    }
    for (tokens, batch) in SHAPES {
        for causal in [false, true] {
            one::<64>(device, csv, tokens, batch, causal)?;
            one::<128>(device, csv, tokens, batch, causal)?;
        }
    }
    Ok(())
}

fn one<const D: usize>(
    device: &Device,
    csv: &mut Csv,
    tokens: usize,
    batch: usize,
    causal: bool,
) -> Outcome<()>
where
    Wgmma<bf16, D>: WgmmaAtom<Input = bf16, Sum = f32>,
{
    let heads = batch * 2048 / D;
    let len = heads * tokens * D;
    let numbers = |seed| normal(len, seed).into_iter().map(bf16::from_f32).collect::<Vec<_>>();
    let [q, k, v] = [1, 2, 3].map(|seed| Buffer::from_slice(device, &numbers(seed)));
    let (q, k, v) = (q?, k?, v?);
    let mut o = Buffer::<bf16>::zeros(device, len)?;
    let shape = [heads, tokens, D];
    let scale = std::f32::consts::LOG2_E / (D as f32).sqrt();
    let mut run = |_: usize| -> Outcome<()> {
        attention_forward::<bf16, D, 128, 2>(
            scale,
            1,
            causal,
            View::of(&q, shape),
            View::of(&k, shape),
            View::of(&v, shape),
            View::of_mut(&mut o, shape),
        )
        .grid([tokens.div_ceil(128), heads, 1])
        .launch(device)?;
        Ok(())
    };
    let times = best_of(device, 10, &mut [&mut run])?;
    // Causal attention is counted by the work it needs.
    let share = if causal { 0.5 } else { 1.0 };
    let work = 4.0 * (heads * D) as f64 * (tokens as f64).powi(2) * share;
    let rate = work / times[0].as_secs_f64() / 1e12;
    let (case, shape) = (
        format!("attention d{D}{}", if causal { " causal" } else { "" }),
        format!("{batch}x{}x{tokens}", heads / batch),
    );
    println!("{case:22} {shape:16} {rate:9.1} TFLOP/s");
    csv.row(&format!("{case},{shape},{rate:.2},TFLOP/s,,,"))?;
    Ok(())
}
