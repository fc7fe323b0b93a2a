//! Attention of 8-bit floats, and the factors that go with them.

use kernelsmith::launch::ViewArg;
use kernelsmith::prelude::*;

use super::form::ScoreFunction;
use super::gather::{Factors, Sequences, gather};
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
    let ([k, v], [k_shape, v_shape]) = problem.converted()?;
    let q_shape @ [batch, _, most, _] = problem.q.shape();
    let rows = Sequences { batch, most, ends: None, lengths: None, table: None };
    let q = gather::<e4m3, f32>(rows, most, false, problem.q, Factors::default())?;
    let Problem { a, form, query_ends, key_ends, lengths, sinks, lse, workspace, out, .. } =
        problem;
    let wide = Problem {
        a,
        form,
        q: View::of(&q, q_shape),
        k: View::of(&k, k_shape),
        v: View::of(&v, v_shape),
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
