//! Gradients of flash attention on Hopper, in the shapes of [`attention`](super::attention), with dQ added in a
//! fixed order and in any.

use half::bf16;
use kernelsmith::prelude::*;
use kernelsmith_benches::gpu::normal;
use kernelsmith_kernels::attention::{
    Attention, FlashAttention, FlashAttentionBackward, Forward, Gradients,
};

use super::Outcome;
use super::attention::{SHAPES, is_hopper};
use super::bench::{Bench, Case, Peer, case};
use super::turns::medians;

pub(super) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for (tokens, batch) in SHAPES.into_iter().rev() {
        // The last as DeepSeek-V3's training.
        for (d, dv) in [(128, 128), (64, 64), (256, 256), (192, 128)] {
            for causal in [false, true] {
                let a = Attention::new(tokens, tokens, d).value_dimension(dv);
                let a = a.batch(batch).heads(2048 / dv);
                let a = if causal { a.causal() } else { a };
                let name = format!("{} {tokens}", title(&a, true));
                cases.push(case(name, move |bench| one(bench, a)));
            }
        }
    }
    cases
}

fn title(a: &Attention, deterministic: bool) -> String {
    let causal = if a.causal { " causal" } else { "" };
    let order = if deterministic { "" } else { " any order" };
    let columns = match (a.dimension, a.value_dimension) {
        (d, dv) if d == dv => format!("{d}"),
        (d, dv) => format!("{d}/{dv}"),
    };
    format!("attention backward d{columns}{causal}{order}")
}

fn one(bench: &mut Bench, a: Attention) -> Outcome<()> {
    if !is_hopper(bench) {
        return Ok(());
    }
    let device = &bench.device;
    let Attention { batch, heads, queries, dimension: d, value_dimension: dv, .. } = a;
    let rows = batch * heads * queries;
    let numbers = |columns: usize, seed| -> Outcome<Buffer<bf16>> {
        let numbers = normal(rows * columns, seed);
        let numbers: Vec<bf16> = numbers.into_iter().map(bf16::from_f32).collect();
        Ok(Buffer::from_slice(device, &numbers)?)
    };
    let (q, k, v, d_out) = (numbers(d, 1)?, numbers(d, 2)?, numbers(dv, 3)?, numbers(dv, 4)?);
    let mut out = Buffer::<bf16>::zeros(device, rows * dv)?;
    let mut lse = Buffer::<f32>::zeros(device, rows)?;
    FlashAttention::new(a).lse(&mut lse).run(&q, &k, &v, &mut out)?;
    let zeros = || -> Outcome<[Buffer<bf16>; 3]> {
        let zeros = |columns: usize| Buffer::zeros(device, rows * columns);
        Ok([zeros(d)?, zeros(d)?, zeros(dv)?])
    };
    let (mut fixed, mut free) = (zeros()?, zeros()?);
    let run = |[dq, dk, dv]: &mut [Buffer<bf16>; 3], deterministic: bool| -> Outcome<()> {
        let forward = Forward { q: &q, k: &k, v: &v, out: &out, lse: &lse };
        let backward = FlashAttentionBackward::new(a).deterministic(deterministic);
        backward.run(forward, &d_out, Gradients { dq, dk, dv })?;
        Ok(())
    };
    let mut in_order = |_: usize| run(&mut fixed, true);
    let mut in_any = |_: usize| run(&mut free, false);
    let times = medians(device, &mut [&mut in_order, &mut in_any])?;
    // Three products of d columns and two of dv; causal attention is counted by the work it needs.
    let share = if a.causal { 0.5 } else { 1.0 };
    let work = 2.0 * (rows * (3 * d + 2 * dv)) as f64 * queries as f64 * share;
    let shape = format!("{batch}x{heads}x{queries}");
    for (time, deterministic) in times.into_iter().zip([true, false]) {
        let rate = work / time.as_secs_f64() / 1e12;
        bench.row(&title(&a, deterministic), &shape, rate, "TFLOP/s", Peer::None)?;
    }
    Ok(())
}
