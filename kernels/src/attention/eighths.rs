//! Attention of 8-bit floats, and the factors that go with them.

use kernelsmith::launch::ViewArg;
use kernelsmith::prelude::*;

use super::element::AttentionElement;
use super::form::ScoreFunction;
use super::hopper;
use super::launch::Problem;
use super::shape::Attention;
use crate::error::Error;

/// Factors of queries, keys and values, each one number or `batch x kv_heads`.
#[derive(Clone, Copy, Default)]
pub(super) struct Descales<'a> {
    pub(super) q: Option<&'a Buffer<f32>>,
    pub(super) k: Option<&'a Buffer<f32>>,
    pub(super) v: Option<&'a Buffer<f32>>,
}

impl<'a> Descales<'a> {
    fn named(&self) -> [(&'static str, Option<&'a Buffer<f32>>); 3] {
        [("q_descale", self.q), ("k_descale", self.k), ("v_descale", self.v)]
    }

    /// Tells of those that have another length.
    pub(super) fn check(&self, a: &Attention) -> Result<(), Error> {
        let heads = a.batch.saturating_mul(a.kv_heads);
        for (argument, factors) in self.named() {
            if let Some(found) = factors.map(Buffer::len).filter(|&len| len != 1 && len != heads) {
                let rule = format!("it must have 1, or batch * kv_heads = {heads}");
                let found = format!("{found} elements");
                return Err(Error::Shape { argument, found, rule });
            }
        }
        Ok(())
    }

    /// Tells of those that were given with elements that have none.
    pub(super) fn refuse(&self) -> Result<(), Error> {
        match self.named().into_iter().find_map(|(name, x)| Some((name, x?))) {
            None => Ok(()),
            Some((argument, x)) => Err(Error::Shape {
                argument,
                found: format!("{} elements", x.len()),
                rule: "only queries, keys and values of 8-bit floats have factors".to_owned(),
            }),
        }
    }

    /// As kernels take them: `batch x kv_heads`, one number for all at strides of 0.
    pub(super) fn views(&self, a: &Attention) -> [Option<ViewArg<'a, f32, 2>>; 3] {
        let shape = [a.batch, a.kv_heads];
        self.named().map(|(_, factors)| {
            let factors = factors?;
            let strides = if factors.len() == 1 { [0, 0] } else { [a.kv_heads, 1] };
            Some(View::of(factors, shape).strides(strides))
        })
    }
}

/// The factor of a sequence and a head of keys; 1 if there are none.
#[device]
pub(super) fn factor(
    #[comptime] factors: Option<ViewRef<f32, 2>>,
    sequence: usize,
    kv_head: usize,
) -> f32 {
    if let Some(factors) = factors { factors[[sequence, kv_head]] } else { 1.0 }
}

/// Rows of a block.
const ROWS: usize = 16;

/// A tensor `x: outer x heads x rows x d` as f32, dense, times up to two factors of the sequence and the head of
/// keys, which `group` heads have in common. With `ends`, rows are of `batch` sequences one behind the other.
/// With a `table` it is `pages x heads x page x d`, and becomes `batch x heads x most x d`: row `r` of a
/// sequence is row `r % page` of page `table[sequence, r / page]`; rows beyond its `lengths` become zeros.
#[kernel(
    block = warp_size(),
    requires = (x.shape(2) >= 1, x.shape(1) >= 1, batch >= 1, rows >= 1, group >= 1),
)]
pub fn widen_rows<T: Stored + AttentionElement>(
    batch: usize,
    group: usize,
    rows: usize,
    x: &View<T, 4>,
    ends: Option<&[u32]>,
    lengths: Option<&[u32]>,
    table: Option<&View<u32, 2>>,
    first: Option<&View<f32, 2>>,
    second: Option<&View<f32, 2>>,
    to: &mut Part<f32, 2>,
) {
    let heads = x.shape(1);
    for i in 0..to.count(0) {
        let at = to.global(0, i);
        let (row, head, outer) = (at % rows, at / rows % heads, at / rows / heads);
        let sequence = if let Some(ends) = ends { sequence_of(ends, batch, row) } else { outer };
        let factor = factor(first, sequence, head / group) * factor(second, sequence, head / group);
        for j in 0..to.count(1) {
            let column = to.global(1, j);
            let value = if let Some(table) = table {
                let mut value = 0.0;
                let mut there = true;
                if let Some(lengths) = lengths {
                    there = row < lengths[sequence] as usize;
                }
                if there {
                    let page = table[[sequence, row / x.shape(2)]] as usize;
                    value = T::widen(x[[page, head, row % x.shape(2), column]]);
                }
                value
            } else {
                T::widen(x[[outer, head, row, column]])
            };
            to[[i, j]] = value * factor;
        }
    }
}

/// The sequence that a row is of: the last that begins there or before.
#[device]
fn sequence_of(ends: &[u32], batch: usize, row: usize) -> usize {
    let mut sequence = 0usize;
    for i in 1..batch {
        if ends[i] as usize <= row {
            sequence = i;
        }
    }
    sequence
}

/// By Hopper's kernel if it takes it, else as attention of f32: each tensor is converted once.
pub(super) fn attend<O: Num, S: ScoreFunction>(
    problem: Problem<'_, e4m3, O>,
    score: S,
    tuned: bool,
) -> Result<(), Error> {
    if size_of::<S>() == 0
        && let Some(choice) = hopper::choose(&problem)
    {
        return hopper::attend(problem, choice, score);
    }
    let (a, table) = (problem.a, problem.table);
    let [q_factors, k_factors, v_factors] = problem.descales.views(&a);
    let group = a.heads / a.kv_heads;
    // Scores have the factors of queries and of keys: both go to the queries.
    let q = widen(&a, problem.q, group, (problem.query_ends, None, None), [q_factors, k_factors])?;
    let ends = (problem.key_ends, problem.lengths, table);
    let k = widen(&a, problem.k, 1, ends, [None, None])?;
    let v = widen(&a, problem.v, 1, ends, [v_factors, None])?;
    let [outer, heads, rows, _] = problem.k.shape();
    let (outer, rows) = if table.is_some() { (a.batch, a.keys) } else { (outer, rows) };
    let shape = |columns| [outer, heads, rows, columns];
    let q_shape = problem.q.shape();
    let Problem { a, form, query_ends, key_ends, lengths, sinks, lse, workspace, out, .. } =
        problem;
    let wide = Problem {
        a,
        form,
        q: View::of(&q, q_shape),
        k: View::of(&k, shape(a.dimension)),
        v: View::of(&v, shape(a.value_dimension)),
        query_ends,
        key_ends,
        lengths,
        table: None,
        sinks,
        descales: Descales::default(),
        lse,
        workspace,
        out,
    };
    wide.run(score, tuned)
}

/// Where rows are: ends of sequences, their lengths, and a table of pages.
type Places<'a> = (Option<&'a Buffer<u32>>, Option<&'a Buffer<u32>>, Option<ViewArg<'a, u32, 2>>);

/// See [`widen_rows`].
fn widen<T: AttentionElement>(
    a: &Attention,
    x: ViewArg<'_, T, 4>,
    group: usize,
    (ends, lengths, table): Places<'_>,
    [first, second]: [Option<ViewArg<'_, f32, 2>>; 2],
) -> Result<Buffer<f32>, Error> {
    let device = x.device().clone();
    let [outer, heads, rows, d] = x.shape();
    let (outer, rows) = if table.is_some() { (a.batch, a.keys) } else { (outer, rows) };
    let shape = [outer * heads * rows, d];
    // SAFETY: the kernel writes every element.
    let mut to = unsafe { Buffer::<f32>::uninit(&device, shape[0] * d) }?;
    if !to.is_empty() && x.shape()[2] > 0 {
        let tiles = View::of_mut(&mut to, shape).partition([ROWS, d]);
        widen_rows::<T>(a.batch, group, rows, x, ends, lengths, table, first, second, tiles)
            .launch(&device)?;
    }
    Ok(to)
}
