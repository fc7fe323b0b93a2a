use std::any::TypeId;

use kernelsmith::Target;
use kernelsmith::lang::Val;
use kernelsmith::prelude::*;

use super::decode::{attention_parts, combine_parts, part_len};
use super::form::{Form, ScoreMap, Unchanged};
use super::rows::{QUERIES, attention_rows};
use super::shape::Attention;
use super::tiled::attention_tiled;
use crate::elementwise::to_f32;
use crate::error::{Error, check_len};

/// Attention `softmax(Q K^T * scale) V`; see [`Attention`] for shapes. A query that sees no key gives
/// zeros. For more, such as the logarithms of the softmax's sums, there is [`FlashAttention`].
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
    FlashAttention::new(attention).run(q, k, v, out)
}

/// [`flash_attention`] with scores that go through `score(score, head, query, key)` after scaling and
/// cap, as for ALiBi (Press et al., 2022) or any other bias by position. `head` counts through the
/// batch: `sequence * heads + head`.
///
/// The closure becomes a part of the kernel, so it captures nothing: one that does is an error.
///
/// # Errors
/// As [`flash_attention`].
pub fn flash_attention_scored<T: Float, S: ScoreMap>(
    attention: Attention,
    score: S,
    q: &Buffer<T>,
    k: &Buffer<T>,
    v: &Buffer<T>,
    out: &mut Buffer<f32>,
) -> Result<(), Error> {
    FlashAttention::new(attention).score(score).run(q, k, v, out)
}

/// Attention `softmax(Q K^T * scale) V` with all that can be asked for on the way.
///
/// ```
/// use kernelsmith::prelude::*;
/// use kernelsmith_kernels::attention::{Attention, FlashAttention};
///
/// # fn main() -> Result<(), kernelsmith_kernels::Error> {
/// let device = Device::cpu();
/// let x = Buffer::from_slice(&device, &[0.0f32; 2 * 32])?;
/// let mut out = Buffer::<f32>::zeros(&device, 2 * 32)?;
/// let mut lse = Buffer::<f32>::zeros(&device, 2)?;
/// FlashAttention::new(Attention::new(2, 2, 32).causal()).lse(&mut lse).run(&x, &x, &x, &mut out)?;
/// // The first query sees one key of score 0, the second two of them.
/// assert_eq!(lse.to_vec()?, [0.0, 2f32.ln()]);
/// # Ok(())
/// # }
/// ```
#[must_use = "attention is computed when `run` is called"]
pub struct FlashAttention<'a, S = Unchanged> {
    attention: Attention,
    score: S,
    lse: Option<&'a mut Buffer<f32>>,
}

impl FlashAttention<'_> {
    /// Of this shape.
    pub fn new(attention: Attention) -> Self {
        FlashAttention { attention, score: Unchanged, lse: None }
    }
}

impl<'a, S: ScoreMap> FlashAttention<'a, S> {
    /// Lets scores go through `score(score, head, query, key)`, see [`flash_attention_scored`].
    pub fn score<F: ScoreMap>(self, score: F) -> FlashAttention<'a, F> {
        FlashAttention { attention: self.attention, score, lse: self.lse }
    }

    /// Asks for `ln(sum(exp(score)))` of each query over the keys that it sees, `-inf` if it sees none:
    /// `batch x heads x queries`, of finished scores (scaled, capped, through the function). Backward
    /// passes need it, and so do those who put together attentions to several sets of keys.
    pub fn lse(self, lse: &'a mut Buffer<f32>) -> Self {
        FlashAttention { lse: Some(lse), ..self }
    }

    /// Launches the attention on the device of `out`.
    ///
    /// # Errors
    /// If the numbers of the [`Attention`] do not go together, a buffer has another length than they
    /// say, the function of scores captures values, or the buffers live on different devices.
    pub fn run<T: Float>(
        self,
        q: &Buffer<T>,
        k: &Buffer<T>,
        v: &Buffer<T>,
        out: &mut Buffer<f32>,
    ) -> Result<(), Error> {
        let FlashAttention { attention, score: map, lse } = self;
        attention.check()?;
        let (queries, keys) = (attention.query_elements(), attention.key_elements());
        check_len("q", q.len(), "batch * heads * queries * dimension", queries)?;
        check_len("k", k.len(), "batch * kv_heads * keys * dimension", keys)?;
        check_len("v", v.len(), "batch * kv_heads * keys * dimension", keys)?;
        check_len("out", out.len(), "batch * heads * queries * dimension", queries)?;
        if let Some(lse) = &lse {
            let rows = queries.map(|n| n / attention.dimension);
            check_len("lse", lse.len(), "batch * heads * queries", rows)?;
        }
        if out.is_empty() {
            return Ok(());
        }
        let form = Form {
            causal: attention.causal,
            windowed: attention.window.is_some(),
            capped: attention.soft_cap.is_some(),
            scored: S::SOME,
        };
        let score = move |s, head, query, key| map.apply(s, head, query, key);
        if attention.queries <= FEW {
            return few(attention, form, score, q, k, v, lse, out);
        }
        if *out.device().target() != Target::Cpu {
            return tiled(attention, form, score, q, k, v, lse, out);
        }
        // f32 is read in place; other elements are converted once rather than by each block.
        match TypeId::of::<T>() == TypeId::of::<f32>() {
            true => rows(attention, form, score, q, k, v, lse, out),
            false => rows(attention, form, score, q, &to_f32(k)?, &to_f32(v)?, lse, out),
        }
    }
}

/// Queries of a sequence that are each a piece of work of its own: for more, keys and values are read for
/// many queries at a time.
const FEW: usize = 4;

/// Keys of a part at least: some microseconds of reading.
const LEAST_KEYS: usize = 256;

/// Few queries: the keys are divided among blocks.
#[allow(clippy::too_many_arguments)]
fn few<T: Float, S>(
    a: Attention,
    form: Form,
    score: S,
    q: &Buffer<T>,
    k: &Buffer<T>,
    v: &Buffer<T>,
    lse: Option<&mut Buffer<f32>>,
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
            combine_parts::<$d>(splits, &parts, lse.map(|x| x.partition([1])), out)
                .launch(&device)?;
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
     $a:ident, $q:ident, $k:ident, $v:ident, $lse:ident, $out:ident) => {{
        let Attention { queries: m, keys: n, heads, kv_heads, scale, .. } = $a;
        let (window, cap) = ($a.window.unwrap_or(n), $a.soft_cap.unwrap_or(0.0));
        $kernel::<$($generic,)* $($size,)* _>(
            m, n, heads / kv_heads, window, scale, cap, $form, $score, $q, $k, $v, $lse, $out,
        )
        .grid((m.div_ceil($queries), $a.batch * heads))
    }};
}

#[allow(clippy::too_many_arguments)]
fn rows<T: Float, K: Float, S>(
    a: Attention,
    form: Form,
    score: S,
    q: &Buffer<T>,
    k: &Buffer<K>,
    v: &Buffer<K>,
    lse: Option<&mut Buffer<f32>>,
    out: &mut Buffer<f32>,
) -> Result<(), Error>
where
    S: Fn(Val<f32>, Val<usize>, Val<usize>, Val<usize>) -> Val<f32> + Copy + 'static,
{
    let device = out.device().clone();
    let launch = match a.dimension {
        32 => launch!(attention_rows<T, K; 32>, QUERIES, form, score, a, q, k, v, lse, out),
        64 => launch!(attention_rows<T, K; 64>, QUERIES, form, score, a, q, k, v, lse, out),
        _ => launch!(attention_rows<T, K; 128>, QUERIES, form, score, a, q, k, v, lse, out),
    };
    Ok(launch.launch(&device)?)
}

/// Each block's tiles are 48 KiB of shared memory or less.
#[allow(clippy::too_many_arguments)]
fn tiled<T: Float, S>(
    a: Attention,
    form: Form,
    score: S,
    q: &Buffer<T>,
    k: &Buffer<T>,
    v: &Buffer<T>,
    lse: Option<&mut Buffer<f32>>,
    out: &mut Buffer<f32>,
) -> Result<(), Error>
where
    S: Fn(Val<f32>, Val<usize>, Val<usize>, Val<usize>) -> Val<f32> + Copy + 'static,
{
    let device = out.device().clone();
    let launch = match a.dimension {
        32 => launch!(attention_tiled<T; 32, 64, 32, 8, 8>, 64, form, score, a, q, k, v, lse, out),
        64 => launch!(attention_tiled<T; 64, 32, 32, 8, 8>, 32, form, score, a, q, k, v, lse, out),
        _ => launch!(attention_tiled<T; 128, 32, 8, 8, 8>, 32, form, score, a, q, k, v, lse, out),
    };
    Ok(launch.launch(&device)?)
}
