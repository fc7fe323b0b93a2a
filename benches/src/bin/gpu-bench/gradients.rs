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
        for d in [128, 64, 256, 192] {
            for causal in [false, true] {
                let a = Attention::new(tokens, tokens, d).batch(batch).heads(2048 / d);
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
    format!("attention backward d{}{causal}{order}", a.dimension)
}

fn one(bench: &mut Bench, a: Attention) -> Outcome<()> {
    if !is_hopper(bench) {
        return Ok(());
    }
    let device = &bench.device;
    let Attention { batch, heads, queries, dimension: d, .. } = a;
    let len = batch * heads * queries * d;
    let numbers = |seed| -> Outcome<Buffer<bf16>> {
        let numbers: Vec<bf16> = normal(len, seed).into_iter().map(bf16::from_f32).collect();
        Ok(Buffer::from_slice(device, &numbers)?)
    };
    let (q, k, v, d_out) = (numbers(1)?, numbers(2)?, numbers(3)?, numbers(4)?);
    let mut out = Buffer::<bf16>::zeros(device, len)?;
    let mut lse = Buffer::<f32>::zeros(device, batch * heads * queries)?;
    FlashAttention::new(a).lse(&mut lse).run(&q, &k, &v, &mut out)?;
    let zeros = || Buffer::<bf16>::zeros(device, len);
    let (mut fixed, mut free) = ([zeros()?, zeros()?, zeros()?], [zeros()?, zeros()?, zeros()?]);
    let run = |[dq, dk, dv]: &mut [Buffer<bf16>; 3], deterministic: bool| -> Outcome<()> {
        let forward = Forward { q: &q, k: &k, v: &v, out: &out, lse: &lse };
        let backward = FlashAttentionBackward::new(a).deterministic(deterministic);
        backward.run(forward, &d_out, Gradients { dq, dk, dv })?;
        Ok(())
    };
    let mut in_order = |_: usize| run(&mut fixed, true);
    let mut in_any = |_: usize| run(&mut free, false);
    let times = medians(device, &mut [&mut in_order, &mut in_any])?;
    // 2.5 times the work of the forward pass; causal attention is counted by the work it needs.
    let share = if a.causal { 0.5 } else { 1.0 };
    let work = 10.0 * (batch * heads * d) as f64 * (queries as f64).powi(2) * share;
    let shape = format!("{batch}x{heads}x{queries}");
    for (time, deterministic) in times.into_iter().zip([true, false]) {
        let rate = work / time.as_secs_f64() / 1e12;
        bench.row(&title(&a, deterministic), &shape, rate, "TFLOP/s", Peer::None)?;
    }
    Ok(())
}
