use std::any::TypeId;

use kernelsmith::Target;
use kernelsmith::lang::Val;
use kernelsmith::prelude::*;

use super::decode::{attention_parts, combine_parts, part_len};
use super::form::Form;
use super::rows::{QUERIES, attention_rows};
use super::shape::Attention;
use super::tiled::attention_tiled;
use crate::elementwise::to_f32;
use crate::error::{Error, check_len};

/// Attention `softmax(Q K^T * scale) V`; see [`Attention`] for shapes. A query that sees no key gives
/// zeros.
///
/// # Errors
/// If the numbers of `attention` do not go together, a buffer has another length than they say, or the
/// buffers live on different devices.
pub fn flash_attention<T: Float>(
    attention: Attention,
    q: &Buffer<T>,
    k: &Buffer<T>,
    v: &Buffer<T>,
    out: &mut Buffer<f32>,
) -> Result<(), Error> {
    let same = |score: Val<f32>, _: Val<usize>, _: Val<usize>, _: Val<usize>| score;
    attend(attention, false, same, q, k, v, out)
}

/// [`flash_attention`] with scores that go through `score(score, head, query, key)` after scaling and
/// cap, as for ALiBi (Press et al., 2022) or any other bias by position. `head` counts through the
/// batch: `sequence * heads + head`.
///
/// The closure becomes a part of the kernel, so it captures nothing: one that does is an error.
///
/// # Errors
/// As [`flash_attention`].
pub fn flash_attention_scored<T: Float, S>(
    attention: Attention,
    score: S,
    q: &Buffer<T>,
    k: &Buffer<T>,
    v: &Buffer<T>,
    out: &mut Buffer<f32>,
) -> Result<(), Error>
where
    S: Fn(Val<f32>, Val<usize>, Val<usize>, Val<usize>) -> Val<f32> + Copy + 'static,
{
    attend(attention, true, score, q, k, v, out)
}

fn attend<T: Float, S>(
    attention: Attention,
    scored: bool,
    score: S,
    q: &Buffer<T>,
    k: &Buffer<T>,
    v: &Buffer<T>,
    out: &mut Buffer<f32>,
) -> Result<(), Error>
where
    S: Fn(Val<f32>, Val<usize>, Val<usize>, Val<usize>) -> Val<f32> + Copy + 'static,
{
    attention.check()?;
    let (queries, keys) = (attention.query_elements(), attention.key_elements());
    check_len("q", q.len(), "batch * heads * queries * dimension", queries)?;
    check_len("k", k.len(), "batch * kv_heads * keys * dimension", keys)?;
    check_len("v", v.len(), "batch * kv_heads * keys * dimension", keys)?;
    check_len("out", out.len(), "batch * heads * queries * dimension", queries)?;
    if out.is_empty() {
        return Ok(());
    }
    let form = Form {
        causal: attention.causal,
        windowed: attention.window.is_some(),
        capped: attention.soft_cap.is_some(),
        scored,
    };
    if attention.queries <= FEW {
        return few(attention, form, score, q, k, v, out);
    }
    if *out.device().target() != Target::Cpu {
        return tiled(attention, form, score, q, k, v, out);
    }
    // f32 is read in place; other elements are converted once rather than by each block.
    match TypeId::of::<T>() == TypeId::of::<f32>() {
        true => rows(attention, form, score, q, k, v, out),
        false => rows(attention, form, score, q, &to_f32(k)?, &to_f32(v)?, out),
    }
}

/// Queries of a sequence that are each a piece of work of its own: for more, keys and values are read for
/// many queries at a time.
const FEW: usize = 4;

/// Keys of a part at least: some microseconds of reading.
const LEAST_KEYS: usize = 256;

/// Few queries: the keys are divided among blocks.
fn few<T: Float, S>(
    a: Attention,
    form: Form,
    score: S,
    q: &Buffer<T>,
    k: &Buffer<T>,
    v: &Buffer<T>,
    out: &mut Buffer<f32>,
) -> Result<(), Error>
where
    S: Fn(Val<f32>, Val<usize>, Val<usize>, Val<usize>) -> Val<f32> + Copy + 'static,
{
    let device = out.device().clone();
    let rows = a.batch * a.heads * a.queries;
    let wanted = (8 * device.limits().compute_units as usize).div_ceil(rows);
    let splits = wanted.clamp(1, a.keys.div_ceil(LEAST_KEYS).max(1));
    let chunk = a.keys.div_ceil(splits);
    let len = part_len(a.dimension);
    // SAFETY: each part is written before it is read.
    let parts = unsafe { Buffer::<f32>::uninit(&device, rows * splits * len) };
    let mut parts = parts.map_err(kernelsmith::Error::from)?;
    let Attention { queries: m, keys: n, heads, kv_heads, scale, dimension: d, .. } = a;
    let (group, window, cap) = (heads / kv_heads, a.window.unwrap_or(n), a.soft_cap.unwrap_or(0.0));
    macro_rules! run {
        ($d:literal) => {{
            let to = View::of_mut(&mut parts, [rows * splits, len]).partition([1, len]);
            attention_parts::<T, T, $d, _>(
                m, n, group, window, scale, cap, form, score, splits, chunk, q, k, v, to,
            )
            .launch(&device)?;
            let out = View::of_mut(out, [rows, d]).partition([1, d]);
            combine_parts::<$d>(splits, &parts, out).launch(&device)?;
        }};
    }
    match d {
        32 => run!(32),
        64 => run!(64),
        _ => run!(128),
    }
    Ok(())
}

/// What a kernel is launched with: the numbers of heads, of queries and so on, in its order.
macro_rules! launch {
    ($kernel:ident<$($generic:ty),*; $($size:literal),*>, $queries:expr, $form:ident, $score:ident,
     $a:ident, $q:ident, $k:ident, $v:ident, $out:ident) => {{
        let Attention { queries: m, keys: n, heads, kv_heads, scale, .. } = $a;
        let (window, cap) = ($a.window.unwrap_or(n), $a.soft_cap.unwrap_or(0.0));
        $kernel::<$($generic,)* $($size,)* _>(
            m, n, heads / kv_heads, window, scale, cap, $form, $score, $q, $k, $v, $out,
        )
        .grid((m.div_ceil($queries), $a.batch * heads))
    }};
}

fn rows<T: Float, K: Float, S>(
    a: Attention,
    form: Form,
    score: S,
    q: &Buffer<T>,
    k: &Buffer<K>,
    v: &Buffer<K>,
    out: &mut Buffer<f32>,
) -> Result<(), Error>
where
    S: Fn(Val<f32>, Val<usize>, Val<usize>, Val<usize>) -> Val<f32> + Copy + 'static,
{
    let device = out.device().clone();
    let launch = match a.dimension {
        32 => launch!(attention_rows<T, K; 32>, QUERIES, form, score, a, q, k, v, out),
        64 => launch!(attention_rows<T, K; 64>, QUERIES, form, score, a, q, k, v, out),
        _ => launch!(attention_rows<T, K; 128>, QUERIES, form, score, a, q, k, v, out),
    };
    Ok(launch.launch(&device)?)
}

/// Each block's tiles are 48 KiB of shared memory or less.
fn tiled<T: Float, S>(
    a: Attention,
    form: Form,
    score: S,
    q: &Buffer<T>,
    k: &Buffer<T>,
    v: &Buffer<T>,
    out: &mut Buffer<f32>,
) -> Result<(), Error>
where
    S: Fn(Val<f32>, Val<usize>, Val<usize>, Val<usize>) -> Val<f32> + Copy + 'static,
{
    let device = out.device().clone();
    let launch = match a.dimension {
        32 => launch!(attention_tiled<T; 32, 64, 32, 8, 8>, 64, form, score, a, q, k, v, out),
        64 => launch!(attention_tiled<T; 64, 32, 32, 8, 8>, 32, form, score, a, q, k, v, out),
        _ => launch!(attention_tiled<T; 128, 32, 8, 8, 8>, 32, form, score, a, q, k, v, out),
    };
    Ok(launch.launch(&device)?)
}
