//! The launches of a backward pass.

use std::any::Any;
use std::ops::Deref;

use kernelsmith::Target;
use kernelsmith::prelude::*;

use super::delta::{DELTA_ROWS, attention_delta};
use super::gradients::{Forward, Gradients};
use super::kernel::attention_backward;
use super::plan::{Division, Tiling};
use super::sinks::Sinks;
use crate::attention::form::{Form, ScoreFunction};
use crate::attention::hopper::backward as hopper;
use crate::attention::shape::Attention;
use crate::elementwise::{sum_parts, to_f32};
use crate::error::Error;

/// Which attention's gradients, with scores that go through a function of derivative 1.
#[derive(Clone, Copy)]
pub(super) struct Call<S> {
    pub(super) a: Attention,
    pub(super) form: Form,
    pub(super) deterministic: bool,
    pub(super) score: S,
}

/// What the kernel reads, as f32.
struct Inputs<'a> {
    q: Wide<'a>,
    k: Wide<'a>,
    v: Wide<'a>,
    d_out: Wide<'a>,
    lse: &'a Buffer<f32>,
    delta: Buffer<f32>,
}

/// f32 is read in place; other elements are converted once rather than by each block.
enum Wide<'a> {
    There(&'a Buffer<f32>),
    Converted(Buffer<f32>),
}

impl<'a> Wide<'a> {
    fn new<T: Float>(x: &'a Buffer<T>) -> Result<Wide<'a>, Error> {
        match (x as &dyn Any).downcast_ref() {
            Some(x) => Ok(Wide::There(x)),
            None => Ok(Wide::Converted(to_f32(x)?)),
        }
    }
}

impl Deref for Wide<'_> {
    type Target = Buffer<f32>;
    fn deref(&self) -> &Buffer<f32> {
        match self {
            Wide::There(x) => x,
            Wide::Converted(x) => x,
        }
    }
}

/// Launches all of a backward pass whose arguments are in order.
pub(super) fn run<T: Float, O: Float, S>(
    call: Call<S>,
    forward: Forward<'_, T, O>,
    d_out: &Buffer<O>,
    gradients: Gradients<'_, T>,
    sinks: Option<Sinks<'_>>,
) -> Result<(), Error>
where
    S: ScoreFunction,
{
    let own = hopper::Call { a: call.a, form: call.form, deterministic: call.deterministic };
    if let Some(tile) = hopper::choose::<T, O>(own, gradients.dq) {
        let lse = forward.lse;
        let statistics = hopper::run(own, tile, forward, d_out, gradients)?;
        return match sinks {
            Some(sinks) => sinks.run(&call.a, lse, statistics.delta()?),
            None => Ok(()),
        };
    }
    let Forward { q, k, v, out, lse } = forward;
    let Gradients { dq, dk, dv } = gradients;
    let device = dq.device().clone();
    let (threads, tiling) = Tiling::new(device.target(), call.a.dimension, call.a.value_dimension);
    let d_out = Wide::new(d_out)?;
    let delta = delta(call.a.value_dimension, out, &d_out)?;
    if let Some(sinks) = sinks {
        let lines = call.a.batch * call.a.heads;
        sinks.run(&call.a, lse, View::of(&delta, [lines, 1, call.a.queries]))?;
    }
    if dq.is_empty() && dk.is_empty() {
        return Ok(());
    }
    let (q, k, v) = (Wide::new(q)?, Wide::new(k)?, Wide::new(v)?);
    let inputs = Inputs { q, k, v, d_out, lse, delta };
    // Blocks for each thread of the CPU: those of a causal attention's first keys have more to do than those
    // of its last. A part of dQ is taken from memory for each block of a head.
    let wanted = match device.target() {
        Target::Cpu => 4 * device.limits().compute_units,
        _ => 2 * device.limits().compute_units,
    };
    let (heads, keys) = (call.a.batch * call.a.kv_heads, call.a.keys);
    let division = Division::new(keys, heads, threads, wanted as usize);
    let launch = match threads {
        32 => blocks::<T, S, 32>,
        16 => blocks::<T, S, 16>,
        _ => blocks::<T, S, 8>,
    };
    if division.splits == 1
        && let Some(dq) = (dq as &mut dyn Any).downcast_mut::<Buffer<f32>>()
    {
        return launch(call, tiling, division, &inputs, dq, dk, dv);
    }
    // SAFETY: the blocks write every element before `sum_parts` reads it.
    let parts = unsafe { Buffer::uninit(&device, dq.len().saturating_mul(division.splits)) };
    let mut parts = parts?;
    launch(call, tiling, division, &inputs, &mut parts, dk, dv)?;
    sum_parts(&parts, dq)
}

fn delta<O: Float>(d: usize, out: &Buffer<O>, d_out: &Buffer<f32>) -> Result<Buffer<f32>, Error> {
    let device = out.device().clone();
    let rows = out.len() / d;
    // SAFETY: the kernel writes every element.
    let mut delta = unsafe { Buffer::uninit(&device, rows)? };
    if rows > 0 {
        attention_delta(d, out, d_out, &mut delta)
            .grid(rows.div_ceil(DELTA_ROWS))
            .launch(&device)?;
    }
    Ok(delta)
}

fn blocks<T: Float, S, const W: usize>(
    call: Call<S>,
    tiling: Tiling,
    division: Division,
    inputs: &Inputs<'_>,
    dq: &mut Buffer<f32>,
    dk: &mut Buffer<T>,
    dv: &mut Buffer<T>,
) -> Result<(), Error>
where
    S: ScoreFunction,
{
    let Call { a, form, score, .. } = call;
    let Attention { queries: m, keys: n, heads, kv_heads, scale, .. } = a;
    let (window, cap) = (a.window.unwrap_or(n).min(n), a.soft_cap.unwrap_or(0.0));
    let device = dq.device().clone();
    let [q, k, v, d_out] = [&inputs.q, &inputs.k, &inputs.v, &inputs.d_out].map(|x| &**x);
    let (lse, delta) = (inputs.lse, &inputs.delta);
    let group = heads / kv_heads;
    attention_backward::<T, W, _>(
        m,
        n,
        group,
        window,
        scale,
        cap,
        division.strips,
        tiling,
        form,
        score,
        q,
        k,
        v,
        d_out,
        lse,
        delta,
        dq,
        dk,
        dv,
    )
    .grid((a.batch * kv_heads, division.splits))
    .launch(&device)?;
    Ok(())
}
