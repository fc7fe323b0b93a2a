//! Outputs from those of parts of the keys.

use std::f32::consts::LOG2_E;

use kernelsmith::prelude::*;

use super::lengths::span;
use super::online::{inverse_of, log_sum_of};

/// Outputs `batch x heads x rows x d`, of `d` columns of values, from their parts `pairs x splits x rows x (d + 2)`, of each pair of a
/// sequence and a head of keys, see [`attention_parts`](super::attention_parts), and
/// `lse: batch x heads x rows` where wanted; with sinks, see [`attention_rows`](super::attention_rows). A
/// block is one warp and takes a query of a head: along x the pairs, along y the `group * m` that share keys.
#[kernel(
    block = warp_size(),
    requires = (
        out.shape(1) >= 1, out.shape(3) == d, parts.shape(3) == d + 2, parts.stride(3) == 1, m >= 1,
        group >= 1, batch >= 1, out.shape(0) >= 1,
        apart * out.shape(0) == apart * batch, apart * out.shape(2) == apart * m,
    ),
)]
pub fn combine_parts<O: Num>(
    batch: usize,
    group: usize,
    m: usize,
    #[comptime] d: usize,
    #[comptime] apart: bool,
    parts: &View<f32, 4>,
    q_ends: Option<&[u32]>,
    sinks: Option<&[f32]>,
    lse: Option<&mut View<f32, 3>>,
    out: &mut View<O, 4>,
) {
    let (lane, pair, row) = (thread_idx_x(), block_idx_x(), block_idx_y());
    if pair >= parts.shape(0) || row >= parts.shape(2) || row >= group * m {
        return;
    }
    let (heads, kv_heads) = (out.shape(1), (out.shape(1) / group).max(1));
    let (kv_head, sequence) = (pair % kv_heads, pair / kv_heads % batch);
    let (head, query) = ((kv_head * group + row / m) % heads, row % m);
    let own = span(q_ends, None, sequence, batch, m, out.shape(2));
    if query >= own.len {
        return;
    }
    let (parts, splits) = (parts.outer(pair), parts.shape(1));
    let part = |s: usize| parts.outer(s).outer(row).contiguous();
    let mut max = f32::NEG_INFINITY;
    for s in 0..splits {
        max = max.max(part(s)[d]);
    }
    if let Some(sinks) = sinks {
        max = max.max(sinks[head] * LOG2_E);
    }
    let base = if max == f32::NEG_INFINITY { 0.0 } else { max };
    let mut sum = 0.0;
    for s in 0..splits {
        let part = part(s);
        sum += (part[d] - base).exp2_fast() * part[d + 1];
    }
    if let Some(sinks) = sinks {
        sum += (sinks[head] * LOG2_E - base).exp2_fast();
    }
    if let Some(lse) = lse {
        if lane == 0 {
            let lse = lse.outer(own.outer).outer(head);
            lse[[own.first + query]] = log_sum_of(max, sum);
        }
    }
    let scale = inverse_of(sum);
    let out = out.outer(own.outer).outer(head).outer(own.first + query);
    for e in (lane..d).step_by(warp_size()) {
        let mut value = 0.0;
        for s in 0..splits {
            let part = part(s);
            value = part[e].mul_add((part[d] - base).exp2_fast(), value);
        }
        out[[e]] = (value * scale).cast::<O>();
    }
}
