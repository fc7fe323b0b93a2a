//! Attention beside PyTorch's `scaled_dot_product_attention`, by work done; decoding by bytes read.

use std::time::Duration;

use half::{bf16, f16};
use kernelsmith::prelude::*;
use kernelsmith_benches::gpu::normal;
use kernelsmith_benches::interleave::{best_within, turn};
use kernelsmith_kernels::attention::{Attention, flash_attention};

use super::python::Python;
use super::table::{Case, Table};
use super::wanted;

const HEADS: usize = 8;

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
    for keys in [4096, 65536] {
        let attention = Attention::new(1, keys, 128).heads(HEADS);
        case::<f32>(table, &torch, "f32", 1.0, attention)?;
        case::<bf16>(table, &torch, "bf16", 1.0, attention)?;
        case::<f16>(table, &torch, "f16", 1.0, attention)?;
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
    let buffer = |rows: usize, seed| {
        let xs: Vec<T> =
            normal(HEADS * rows * dimension, seed).into_iter().map(T::narrow).collect();
        Buffer::from_slice(&device, &xs).map_err(|e| e.to_string())
    };
    let (q, k, v) = (buffer(queries, 1)?, buffer(keys, 2)?, buffer(keys, 3)?);
    let mut out =
        Buffer::<f32>::zeros(&device, HEADS * queries * dimension).map_err(|e| e.to_string())?;
    let mut ours = || {
        turn(|| {
            flash_attention(attention, &q, &k, &v, &mut out).expect("a launch");
            device.synchronize().expect("no failed check");
        })
    };
    let best = best_within(Duration::from_secs(3), 5, &mut [&mut ours, &mut || torch.run()]);
    let pairs: usize = (0..queries).map(|query| attention.seen(query).len()).sum();
    let (work, unit) = match decode {
        true => (2 * HEADS * keys * dimension * size_of::<T>(), "GB/s"),
        false => (4 * HEADS * pairs * dimension, "GFLOP/s"),
    };
    let case = Case { suite: "attention", name: &name, element, work: work as f64, unit, goal };
    table.row(&case, best[0], &[("torch", best[1])]);
    Ok(())
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
