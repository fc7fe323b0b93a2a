//! Attention as users call it, against f64. The hardware tests run these too.

use std::f64::consts::LN_2;

use kernelsmith::prelude::*;
use kernelsmith_kernels::attention::{
    Attention, AttentionElement, AttentionWorkspace, FlashAttention,
};
use kernelsmith_kernels::matmul::Output;

use super::checks::{Checked, Exact, buffer, numbers, worst};

/// How sequences lie in memory.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Sequences {
    /// All as long.
    Alike,
    /// Each has the first few of its keys; behind them there are NaNs.
    Padded,
    /// One after another.
    Packed,
    /// Keys in pages of so many, and NaNs in those that are nobody's.
    Paged(usize),
}

/// An attention to be checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) batch: usize,
    pub(crate) heads: usize,
    pub(crate) group: usize,
    pub(crate) m: usize,
    pub(crate) n: usize,
    pub(crate) d: usize,
    /// Columns of values.
    pub(crate) dv: usize,
    /// Values are the first columns of the keys.
    pub(crate) latent: bool,
    pub(crate) causal: bool,
    pub(crate) window: Option<usize>,
    pub(crate) cap: Option<f32>,
    pub(crate) scored: bool,
    pub(crate) sinks: bool,
    /// Factors of 8-bit floats for each sequence and head.
    pub(crate) factors: bool,
    pub(crate) sequences: Sequences,
}

impl Case {
    /// One sequence of one head, every query of which sees every key.
    pub(crate) fn new(m: usize, n: usize, d: usize) -> Case {
        Case {
            batch: 1,
            heads: 1,
            group: 1,
            m,
            n,
            d,
            dv: d,
            latent: false,
            causal: false,
            window: None,
            cap: None,
            scored: false,
            sinks: false,
            factors: false,
            sequences: Sequences::Alike,
        }
    }

    /// Of absorbed multi-head latent attention: `group` heads, which have the same keys.
    pub(crate) fn latent(m: usize, n: usize, group: usize) -> Case {
        Case { heads: group, group, dv: 512, latent: true, ..Case::new(m, n, 576) }
    }

    pub(crate) fn causal(self) -> Case {
        Case { causal: true, ..self }
    }

    /// Queries and keys of a sequence.
    fn lengths(&self, sequence: usize) -> (usize, usize) {
        match self.sequences {
            Sequences::Alike => (self.m, self.n),
            Sequences::Padded | Sequences::Paged(_) => (self.m, self.n - sequence * 37 % self.n),
            Sequences::Packed => (self.m - sequence * 29 % self.m, self.n - sequence * 37 % self.n),
        }
    }

    fn attention(&self) -> Attention {
        let &Case { batch, heads, group, m, n, d, dv, causal, window, cap, .. } = self;
        let mut a = Attention::new(m, n, d).value_dimension(dv).batch(batch);
        a = a.heads(heads).kv_heads(heads / group);
        (a.causal, a.window, a.soft_cap) = (causal, window, cap);
        a
    }
}

/// What scores go through where they do.
fn by_distance(score: Val<f32>, head: Val<usize>, query: Val<usize>, key: Val<usize>) -> Val<f32> {
    let distance = query.cast::<f32>() - key.cast::<f32>();
    score - (head + 1usize).cast::<f32>() * distance * 0.0625
}

/// Where row `row` of a sequence begins, in a tensor of `heads` with sequences of `most` rows.
#[derive(Clone)]
struct Places {
    /// For each sequence, for each row: sequence and row, or page and row, or 0 and token.
    at: Vec<Vec<(usize, usize)>>,
    /// The tensor is `outer x heads x rows x d`.
    outer: usize,
    rows: usize,
}

fn places(case: &Case, keys: bool) -> (Places, Vec<u32>, Vec<u32>) {
    let len = |i| if keys { case.lengths(i).1 } else { case.lengths(i).0 };
    let most = if keys { case.n } else { case.m };
    let lengths: Vec<usize> = (0..case.batch).map(len).collect();
    let own: Vec<u32> = lengths.iter().map(|&n| n as u32).collect();
    match case.sequences {
        Sequences::Packed => {
            let mut ends = vec![0];
            let mut at = Vec::new();
            for &n in &lengths {
                let first = *ends.last().unwrap() as usize;
                at.push((0..n).map(|row| (0, first + row)).collect());
                ends.push((first + n) as u32);
            }
            let rows = *ends.last().unwrap() as usize;
            (Places { at, outer: 1, rows }, ends, Vec::new())
        }
        Sequences::Paged(page) if keys => {
            let each = most.div_ceil(page);
            // Pages of a sequence lie apart, and not in order.
            let of = |sequence: usize, i: usize| (each - 1 - i) * case.batch + sequence;
            let at = (0..case.batch)
                .map(|s| (0..lengths[s]).map(|row| (of(s, row / page), row % page)).collect());
            let table = (0..case.batch).flat_map(|s| (0..each).map(move |i| of(s, i) as u32));
            let places = Places { at: at.collect(), outer: each * case.batch, rows: page };
            (places, own, table.collect())
        }
        _ => {
            let at = (0..case.batch).map(|s| (0..lengths[s]).map(|row| (s, row)).collect());
            (Places { at: at.collect(), outer: case.batch, rows: most }, own, Vec::new())
        }
    }
}

impl Places {
    /// The tensor, `fill` where nothing is: numbers of each sequence's rows and heads.
    fn filled(&self, heads: usize, d: usize, seed: u64, fill: f64) -> Vec<f64> {
        let numbers = numbers(seed, self.outer * heads * self.rows * d);
        let mut all = vec![fill; numbers.len()];
        for &(outer, row) in self.at.iter().flatten() {
            for head in 0..heads {
                let from = self.offset(heads, d, (outer, row), head);
                all[from..from + d].copy_from_slice(&numbers[from..from + d]);
            }
        }
        all
    }

    /// Rows of a head lie next to each other, except among tokens and in pages.
    fn offset(&self, heads: usize, d: usize, (outer, row): (usize, usize), head: usize) -> usize {
        ((outer * self.rows + row) * heads + head) * d
    }
}

/// Of bf16.
pub(crate) fn check(device: &Device, case: Case) -> Checked {
    check_of::<bf16, bf16>(device, case)
}

/// A few numbers of a matrix, of which the sums of products are small integers.
fn sparse(x: &[f64], least: f64) -> Vec<f64> {
    let one = |x: f64| if x.abs() > least { x.signum() } else { x * 0.0 };
    x.iter().map(|&x| one(x)).collect()
}

/// Factors of queries, keys and values, of each sequence and head of keys: powers of two.
fn factors(case: &Case, pair: usize) -> [f64; 3] {
    match case.factors {
        true => [[0.5, 1.0, 2.0][pair % 3], 2.0, [0.5, 2.0][pair % 2]],
        false => [1.0; 3],
    }
}

/// Computes a case and gives the largest errors of outputs and of logarithms of sums, the latter scaled to
/// the bound of the former. Weights and outputs are rounded to elements, of bf16 with a unit in the last place of
/// 2^-8 between 0.5 and 1.
///
/// 8-bit floats have queries and keys of which scores are integers, and a scale that makes powers of 2 of their
/// exponentials: weights are not rounded, unless they are too small to matter.
pub(crate) fn check_of<T, O>(device: &Device, case: Case) -> Checked
where
    T: Exact + AttentionElement,
    O: Exact + Output<f32>,
{
    let Case { heads, group, d, dv, .. } = case;
    let powers = size_of::<T>() == 1;
    let kv_heads = heads / group;
    let (queries, query_ends, _) = places(&case, false);
    let (keys, key_lengths, table) = places(&case, true);
    let q = queries.filled(heads, d, 3, 0.0);
    let k = keys.filled(kv_heads, d, 4, f64::NAN);
    let (q, k) = if powers { (sparse(&q, 0.9), sparse(&k, 0.3)) } else { (q, k) };
    let v: Vec<f64> = match case.latent {
        true => k.chunks(d).flat_map(|key| key[..dv].to_vec()).collect(),
        false => keys.filled(kv_heads, dv, 5, f64::NAN),
    };
    let v: Vec<f64> = v.into_iter().map(|x| T::near(x).value()).collect();
    let sinks: Vec<f64> = (0..heads).map(|h| h as f64 / 4.0 - 0.5).collect();
    let (expected, expected_lse) = expected(&case, powers, [&queries, &keys], [&q, &k, &v], &sinks);

    let elements = |x: &[f64]| -> Result<Buffer<T>, Box<dyn std::error::Error>> {
        let x: Vec<T> = x.iter().map(|&x| T::near(x)).collect();
        Ok(Buffer::from_slice(device, &x)?)
    };
    let (q, k, v) = (elements(&q)?, elements(&k)?, elements(&v)?);
    let pairs = case.batch * kv_heads;
    let factors_of = |which: usize| -> Vec<f64> {
        (0..if which == 1 { 1 } else { pairs }).map(|pair| factors(&case, pair)[which]).collect()
    };
    let [q_factors, k_factors, v_factors] =
        [0, 1, 2].map(|i| buffer::<f32>(device, &factors_of(i)));
    let (q_factors, k_factors, v_factors) = (q_factors?, k_factors?, v_factors?);
    let sinks = buffer::<f32>(device, &sinks)?;
    let mut lse = buffer::<f32>(device, &vec![f64::NAN; queries.outer * heads * queries.rows])?;
    let rows = queries.outer * heads * queries.rows;
    let mut out = Buffer::from_slice(device, &vec![O::near(f64::NAN); rows * dv])?;
    let (query_ends, key_lengths) =
        (Buffer::from_slice(device, &query_ends)?, Buffer::from_slice(device, &key_lengths)?);
    let table = Buffer::from_slice(device, if table.is_empty() { &[0] } else { &table[..] })?;

    let attention = case.attention();
    let attention = if powers { attention.scale(LN_2 as f32) } else { attention };
    let flash = FlashAttention::new(attention).lse(&mut lse);
    let flash = match case.factors {
        true => flash.q_descale(&q_factors).k_descale(&k_factors).v_descale(&v_factors),
        false => flash,
    };
    let flash = if case.sinks { flash.sinks(&sinks) } else { flash };
    let flash = match case.sequences {
        Sequences::Alike => flash,
        Sequences::Padded => flash.key_lengths(&key_lengths),
        Sequences::Packed => flash.packed(&query_ends, &key_lengths),
        Sequences::Paged(_) => flash.paged(&table, &key_lengths),
    };
    let four = |x: &Places, heads: usize, d: usize| [x.outer, x.rows, heads, d];
    let three = |x: &Places, heads: usize, d: usize| [x.rows, heads, d];
    macro_rules! run {
        ($flash:expr) => {
            match case.sequences {
                Sequences::Packed => run!(
                    $flash,
                    View::of(&q, three(&queries, heads, d)),
                    View::of(&k, three(&keys, kv_heads, d)),
                    View::of(&v, three(&keys, kv_heads, dv)),
                    View::of_mut(&mut out, three(&queries, heads, dv))
                ),
                Sequences::Paged(_) => run!(
                    $flash,
                    View::of(&q, four(&queries, heads, d)).permuted([0, 2, 1, 3])?,
                    View::of(&k, four(&keys, kv_heads, d)),
                    View::of(&v, four(&keys, kv_heads, dv)),
                    View::of_mut(&mut out, four(&queries, heads, dv)).permuted([0, 2, 1, 3])?
                ),
                _ => run!(
                    $flash,
                    View::of(&q, four(&queries, heads, d)).permuted([0, 2, 1, 3])?,
                    View::of(&k, four(&keys, kv_heads, d)).permuted([0, 2, 1, 3])?,
                    View::of(&v, four(&keys, kv_heads, dv)).permuted([0, 2, 1, 3])?,
                    View::of_mut(&mut out, four(&queries, heads, dv)).permuted([0, 2, 1, 3])?
                ),
            }
        };
        ($flash:expr, $q:expr, $k:expr, $v:expr, $out:expr) => {
            match case.latent {
                true => $flash.run_latent($q, $k, $out),
                false => $flash.run($q, $k, $v, $out),
            }
        };
    }
    if case.scored { run!(flash.score(by_distance)) } else { run!(flash) }?;

    // Polynomials have relative errors of 1.1e-4.
    let halves = T::TYPE == f16::TYPE && O::TYPE != bf16::TYPE;
    let allowed = if halves { 5.0 * 2f64.powi(-11) } else { 2.0 * 2f64.powi(-8) };
    let error = worst(out.to_vec()?.into_iter().map(O::value), expected);
    let lse = lse.to_vec()?.into_iter().zip(expected_lse);
    // Where both are -inf there is no difference.
    let lse = lse.filter(|&(found, expected)| f64::from(found) != expected);
    let (found, expected): (Vec<f64>, Vec<f64>) = lse.map(|(x, y)| (f64::from(x), y)).unzip();
    // Polynomials have relative errors of 1.1e-4, f32 sums much less.
    let tolerance = 1e-3;
    let error_lse = worst(found, expected) / tolerance * allowed;
    Ok((error.max(error_lse), allowed))
}

/// Attentions of few queries that keep their workspace, which begins with dirt of other shapes: the same bits
/// as with memory of its own each time. The error is the number of those that differ.
pub(crate) fn kept_workspace(device: &Device) -> Checked {
    let mut workspace = AttentionWorkspace::new(device)?;
    let mut differ = 0;
    for keys in [300, 900, 900, 400] {
        let a = Attention::new(1, keys, 64).batch(2).heads(4).kv_heads(2);
        let elements = 2 * 2 * keys * 64;
        let q = buffer::<bf16>(device, &numbers(6, 2 * 4 * 64))?;
        let k = buffer::<bf16>(device, &numbers(7, elements))?;
        let v = buffer::<bf16>(device, &numbers(8, elements))?;
        let mut outs = [Vec::new(), Vec::new()];
        for (kept, to) in outs.iter_mut().enumerate() {
            let mut out = buffer::<f32>(device, &vec![f64::NAN; q.len()])?;
            let flash = FlashAttention::new(a);
            let flash = if kept == 1 { flash.workspace(&mut workspace) } else { flash };
            flash.run(&q, &k, &v, &mut out)?;
            *to = out.to_vec()?;
        }
        let [own, kept] = outs;
        differ += own.iter().zip(&kept).filter(|(x, y)| x.to_bits() != y.to_bits()).count();
    }
    Ok((differ as f64, 0.0))
}

/// Outputs as the tensor lies, and logarithms of sums `outer x heads x rows`.
fn expected(
    case: &Case,
    powers: bool,
    [queries, keys]: [&Places; 2],
    [q, k, v]: [&[f64]; 3],
    sinks: &[f64],
) -> (Vec<f64>, Vec<f64>) {
    let &Case { heads, group, d, dv, .. } = case;
    let scale = if powers { LN_2 } else { 1.0 / (d as f64).sqrt() };
    let mut out = vec![f64::NAN; queries.outer * heads * queries.rows * dv];
    let mut lse = vec![f64::NAN; queries.outer * heads * queries.rows];
    for sequence in 0..case.batch {
        let (m, n) = case.lengths(sequence);
        for (head, query) in (0..heads).flat_map(|h| (0..m).map(move |i| (h, i))) {
            let at = queries.at[sequence][query];
            let from = queries.offset(heads, d, at, head);
            let [of_q, of_k, of_v] = factors(case, sequence * (heads / group) + head / group);
            let end = if case.causal { (query + n + 1).saturating_sub(m).min(n) } else { n };
            let begin = end.saturating_sub(case.window.unwrap_or(end));
            let to = queries.offset(heads, dv, at, head);
            let row = |key: usize, d: usize| {
                let at = keys.offset(heads / group, d, keys.at[sequence][key], head / group);
                at..at + d
            };
            let score = |key: usize| {
                let dot: f64 =
                    q[from..from + d].iter().zip(&k[row(key, d)]).map(|(a, b)| a * b).sum();
                let s = dot * scale * of_q * of_k;
                let s = case.cap.map_or(s, |cap| f64::from(cap) * (s / f64::from(cap)).tanh());
                let distance = query as f64 - key as f64;
                let head = (sequence * heads + head + 1) as f64;
                if case.scored { s - head * distance * 0.0625 } else { s }
            };
            let scores: Vec<f64> = (begin..end).map(score).collect();
            let sink = case.sinks.then_some(sinks[head]);
            let most = scores.iter().copied().chain(sink).fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|s| (s - most).exp()).collect();
            let sum: f64 = weights.iter().sum::<f64>() + sink.map_or(0.0, |s| (s - most).exp());
            for e in 0..dv {
                let value = |key| v[row(key, dv).start + e];
                let total: f64 = weights.iter().zip(begin..).map(|(w, key)| w * value(key)).sum();
                out[to + e] = if sum > 0.0 { total / sum * of_v } else { 0.0 };
            }
            let logarithm = if sum > 0.0 { most + sum.ln() } else { f64::NEG_INFINITY };
            lse[(at.0 * heads + head) * queries.rows + at.1] = logarithm;
        }
    }
    (out, lse)
}
