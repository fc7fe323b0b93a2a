//! Attention as users call it, against f64. The hardware tests run these too.

use kernelsmith::prelude::*;
use kernelsmith_kernels::attention::{Attention, FlashAttention};

use super::checks::{Checked, buffer, numbers, worst};

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

/// Computes a case and gives the largest errors of outputs and of logarithms of sums, the latter scaled to
/// the bound of the former. Weights and outputs are rounded to bf16, of whose unit in the last place 2^-8
/// values between -1 and 1 are within one.
pub(crate) fn check(device: &Device, case: Case) -> Checked {
    let Case { heads, group, d, dv, .. } = case;
    let kv_heads = heads / group;
    let (queries, query_ends, _) = places(&case, false);
    let (keys, key_lengths, table) = places(&case, true);
    let q = queries.filled(heads, d, 3, 0.0);
    let k = keys.filled(kv_heads, d, 4, f64::NAN);
    let v = match case.latent {
        true => k.chunks(d).flat_map(|key| key[..dv].to_vec()).collect(),
        false => keys.filled(kv_heads, dv, 5, f64::NAN),
    };
    let sinks: Vec<f64> = (0..heads).map(|h| h as f64 / 4.0 - 0.5).collect();
    let (expected, expected_lse) = expected(&case, [&queries, &keys], [&q, &k, &v], &sinks);

    let (q, k, v) = (buffer::<bf16>(device, &q)?, buffer(device, &k)?, buffer(device, &v)?);
    let (k, v): (Buffer<bf16>, Buffer<bf16>) = (k, v);
    let sinks = buffer::<f32>(device, &sinks)?;
    let mut lse = buffer::<f32>(device, &vec![f64::NAN; queries.outer * heads * queries.rows])?;
    let rows = queries.outer * heads * queries.rows;
    let mut out = buffer::<bf16>(device, &vec![f64::NAN; rows * dv])?;
    let (query_ends, key_lengths) =
        (Buffer::from_slice(device, &query_ends)?, Buffer::from_slice(device, &key_lengths)?);
    let table = Buffer::from_slice(device, if table.is_empty() { &[0] } else { &table[..] })?;

    let flash = FlashAttention::new(case.attention()).lse(&mut lse);
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

    let allowed = 2.0 * 2f64.powi(-8);
    let error = worst(out.to_vec()?.into_iter().map(f64::from), expected);
    let lse = lse.to_vec()?.into_iter().zip(expected_lse);
    // Where both are -inf there is no difference.
    let lse = lse.filter(|&(found, expected)| f64::from(found) != expected);
    let (found, expected): (Vec<f64>, Vec<f64>) = lse.map(|(x, y)| (f64::from(x), y)).unzip();
    // Polynomials have relative errors of 1.1e-4, f32 sums much less.
    let tolerance = 1e-3;
    let error_lse = worst(found, expected) / tolerance * allowed;
    Ok((error.max(error_lse), allowed))
}

/// Outputs as the tensor lies, and logarithms of sums `outer x heads x rows`.
fn expected(
    case: &Case,
    [queries, keys]: [&Places; 2],
    [q, k, v]: [&[f64]; 3],
    sinks: &[f64],
) -> (Vec<f64>, Vec<f64>) {
    let &Case { heads, group, d, dv, .. } = case;
    let scale = 1.0 / (d as f64).sqrt();
    let mut out = vec![f64::NAN; queries.outer * heads * queries.rows * dv];
    let mut lse = vec![f64::NAN; queries.outer * heads * queries.rows];
    for sequence in 0..case.batch {
        let (m, n) = case.lengths(sequence);
        for (head, query) in (0..heads).flat_map(|h| (0..m).map(move |i| (h, i))) {
            let at = queries.at[sequence][query];
            let from = queries.offset(heads, d, at, head);
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
                let s = dot * scale;
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
                out[to + e] = if sum > 0.0 { total / sum } else { 0.0 };
            }
            let logarithm = if sum > 0.0 { most + sum.ln() } else { f64::NEG_INFINITY };
            lse[(at.0 * heads + head) * queries.rows + at.1] = logarithm;
        }
    }
    (out, lse)
}
