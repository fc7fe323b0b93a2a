//! Attention beside PyTorch's `scaled_dot_product_attention`, by work done; decoding by bytes read.

use std::hint::black_box;
use std::time::Duration;

use half::{bf16, f16};
use kernelsmith::prelude::*;
use kernelsmith_benches::gpu::normal;
use kernelsmith_benches::interleave::{best_within, turn};
use kernelsmith_benches::memory::read;
use kernelsmith_kernels::attention::{
    Attention, FlashAttention, Forward, Gradients, flash_attention, flash_attention_backward,
};
use kernelsmith_kernels::matmul::Output;

use super::python::Python;
use super::table::{Case, Table};
use super::wanted;

const HEADS: usize = 8;

const BUDGET: Duration = Duration::from_secs(3);

pub(crate) fn cases(table: &mut Table) -> Result<(), String> {
    let torch = Python::torch(super::threads())?;
    for (n, d) in [(512, 64), (2048, 64), (2048, 128), (4096, 128)] {
        for causal in [false, true] {
            let attention = Attention::new(n, n, d).heads(HEADS);
            let attention = if causal { attention.causal() } else { attention };
            case::<f32>(table, &torch, "f32", 1.25, attention)?;
            case::<bf16>(table, &torch, "bf16", 1.7, attention)?;
        }
    }
    for causal in [false, true] {
        let attention = Attention::new(2048, 2048, 64).heads(HEADS);
        let attention = if causal { attention.causal() } else { attention };
        backward::<f32>(table, &torch, "f32", attention)?;
        backward::<bf16>(table, &torch, "bf16", attention)?;
    }
    for keys in [4096, 65536] {
        let attention = Attention::new(1, keys, 128).heads(HEADS);
        case::<f32>(table, &torch, "f32", 0.8, attention)?;
        case::<bf16>(table, &torch, "bf16", 0.8, attention)?;
        case::<f16>(table, &torch, "f16", 0.8, attention)?;
    }
    Ok(())
}

fn case<T: Float + From16>(
    table: &mut Table,
    torch: &Python,
    element: &str,
    goal: f64,
    attention: Attention,
) -> Result<(), String> {
    let Attention { queries, keys, dimension, causal, .. } = attention;
    let mask = if causal { "causal" } else { "full" };
    let decode = queries == 1;
    let what = if decode { "decode" } else { mask };
    let name = format!("{what} {HEADS}x{keys}x{dimension}");
    if !wanted(&name, element) {
        return Ok(());
    }
    torch.prepare(&format!("attention {element} {mask} {HEADS} {queries} {keys} {dimension}"))?;
    let device = Device::cpu();
    let [q, k, v] = inputs::<T>(&device, attention)?;
    let mut out =
        Buffer::<f32>::zeros(&device, HEADS * queries * dimension).map_err(|e| e.to_string())?;
    let mut ours = || {
        turn(|| {
            flash_attention(attention, &q, &k, &v, &mut out).expect("a launch");
            device.synchronize().expect("no failed check");
        })
    };
    let bytes = 2 * HEADS * keys * dimension * size_of::<T>();
    let words = vec![1u64; bytes / 8];
    let mut reading = || {
        turn(|| {
            black_box(read(&words));
        })
    };
    let mut by_torch = || torch.run();
    let mut all: Vec<&mut dyn FnMut() -> Duration> = vec![&mut ours, &mut by_torch];
    if decode {
        all.push(&mut reading);
    }
    let best = best_within(BUDGET, 5, &mut all);
    let (work, unit) = match decode {
        true => (bytes, "GB/s"),
        false => (4 * HEADS * pairs(attention) * dimension, "GFLOP/s"),
    };
    let peers: Vec<_> = ["torch", "reading"].into_iter().zip(best[1..].iter().copied()).collect();
    let case = Case { suite: "attention", name: &name, element, work: work as f64, unit, goal };
    table.row(&case, best[0], &peers);
    Ok(())
}

/// The gradients, by the five products that they take; PyTorch's by autograd, without the forward pass.
fn backward<T: Float + Output<f32> + From16>(
    table: &mut Table,
    torch: &Python,
    element: &str,
    attention: Attention,
) -> Result<(), String> {
    let Attention { queries, keys, dimension, causal, .. } = attention;
    let mask = if causal { "causal" } else { "full" };
    let name = format!("backward {mask} {HEADS}x{keys}x{dimension}");
    if !wanted(&name, element) {
        return Ok(());
    }
    torch.prepare(&format!("backward {element} {mask} {HEADS} {queries} {keys} {dimension}"))?;
    let failed = |e: kernelsmith_kernels::Error| e.to_string();
    let memory = |e: kernelsmith::Error| e.to_string();
    let device = Device::cpu();
    let [q, k, v] = inputs::<T>(&device, attention)?;
    let zeros = |rows: usize| {
        Buffer::<T>::zeros(&device, HEADS * rows * dimension).map_err(|e| memory(e.into()))
    };
    let [d_out, ..] = inputs::<T>(&device, attention)?;
    let mut out = zeros(queries)?;
    let mut lse = Buffer::<f32>::zeros(&device, HEADS * queries).map_err(|e| memory(e.into()))?;
    FlashAttention::new(attention).lse(&mut lse).run(&q, &k, &v, &mut out).map_err(failed)?;
    let (mut dq, mut dk, mut dv) = (zeros(queries)?, zeros(keys)?, zeros(keys)?);
    let mut ours = || {
        turn(|| {
            let forward = Forward { q: &q, k: &k, v: &v, out: &out, lse: &lse };
            let gradients = Gradients { dq: &mut dq, dk: &mut dk, dv: &mut dv };
            flash_attention_backward(attention, forward, &d_out, gradients).expect("a launch");
            device.synchronize().expect("no failed check");
        })
    };
    let best = best_within(BUDGET, 5, &mut [&mut ours, &mut || torch.run()]);
    let work = (10 * HEADS * pairs(attention) * dimension) as f64;
    let (unit, goal) = ("GFLOP/s", 1.0);
    let case = Case { suite: "attention", name: &name, element, work, unit, goal };
    table.row(&case, best[0], &[("torch", best[1])]);
    Ok(())
}

/// Q, K and V.
fn inputs<T: Float + From16>(
    device: &Device,
    attention: Attention,
) -> Result<[Buffer<T>; 3], String> {
    let Attention { queries, keys, dimension, .. } = attention;
    let buffer = |rows: usize, seed| {
        let xs: Vec<T> =
            normal(HEADS * rows * dimension, seed).into_iter().map(T::narrow).collect();
        Buffer::from_slice(device, &xs).map_err(|e| e.to_string())
    };
    Ok([buffer(queries, 1)?, buffer(keys, 2)?, buffer(keys, 3)?])
}

/// Pairs of a query and a key that it sees.
fn pairs(attention: Attention) -> usize {
    (0..attention.queries).map(|query| attention.seen(query).len()).sum()
}

trait From16 {
    fn narrow(x: f32) -> Self;
}

macro_rules! narrow {
    ($($ty:ty: $narrow:expr;)*) => {
        $(impl From16 for $ty {
            fn narrow(x: f32) -> $ty {
                $narrow(x)
            }
        })*
    };
}

narrow! {
    f32: |x| x;
    bf16: bf16::from_f32;
    f16: f16::from_f32;
}
