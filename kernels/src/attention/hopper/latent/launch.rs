//! When an attention is one to latents, and how it is launched.

use kernelsmith::launch::ViewArg;
use kernelsmith::prelude::*;

use super::super::config::{self, Plan};
use super::super::launch::{Choice, launched};
use super::super::scores::ScoreFn;
use super::kernel::attention_latent;
use super::plan::{COLUMNS, HALF, KEYS, ROWS, TILE, VALUES, packed};
use crate::attention::element::AttentionElement;
use crate::attention::launch::Problem;
use crate::attention::workspace::Arrivals;
use crate::error::Error;

/// How the kernel computes an attention that the copy engine can walk, if it is one to latents: of their
/// dimensions, one head of keys, and values that are the keys' first columns.
pub(in crate::attention::hopper) fn choose<T: Stored, O: Num>(
    problem: &Problem<'_, T, O>,
) -> Option<Choice> {
    let a = &problem.a;
    let dimensions = (a.dimension, a.value_dimension) == (COLUMNS, VALUES);
    if !dimensions || size_of::<T>() != 2 || a.kv_heads != 1 || !begins(&problem.k, &problem.v) {
        return None;
    }
    let per_copy = match problem.table {
        Some(_) => Some(config::per_copy(problem.k.shape()[2], KEYS)?),
        None => None,
    };
    let group = packed(a.heads);
    let plan = Plan {
        warpgroups: 1,
        pack: group.next_power_of_two(),
        columns: VALUES,
        ragged: problem.table.is_some() || problem.key_ends.is_some() || problem.lengths.is_some(),
        turns: false,
        lazy: true,
        polynomials: 0,
        per_copy,
    };
    let each = a.heads / group;
    let pieces = (each * a.batch).checked_mul(a.queries.div_ceil(ROWS / plan.pack))?;
    let units = problem.out.device().limits().compute_units as usize;
    let splits = config::splits(pieces, a.keys.div_ceil(KEYS), units);
    let section = config::section(a.keys.saturating_mul(2 * COLUMNS), each);
    let pieces = pieces.checked_mul(splits).filter(|&pieces| pieces < 1 << 31)?;
    Some(Choice { tile: TILE, plan, splits, section, pieces })
}

/// Whether the values are the first columns of the keys.
fn begins<T: Stored>(k: &ViewArg<'_, T, 4>, v: &ViewArg<'_, T, 4>) -> bool {
    let ((shape, k_strides), (_, v_strides)) = (k.layout(), v.layout());
    let alike = (0..4).all(|axis| shape[axis] == 1 || k_strides[axis] == v_strides[axis]);
    alike && k.address() == v.address()
}

/// Launches it.
pub(in crate::attention::hopper) fn launch<T: Float + AttentionElement, O: Num>(
    problem: Problem<'_, T, O>,
    choice: Choice,
    score: ScoreFn,
) -> Result<(), Error>
where
    Wgmma<T, KEYS>: WgmmaAtom<Input = T, Sum = f32>,
    Wgmma<T, HALF>: WgmmaAtom<Input = T, Sum = f32>,
{
    let (_, window, cap) = problem.numbers();
    let group = packed(problem.a.heads);
    let Choice { plan, splits, section, .. } = choice;
    launched(problem, choice, group, |problem, q, Arrivals { parts, arrivals, launch }| {
        let Problem { a, form, k, query_ends, key_ends, lengths, table, sinks, .. } = problem;
        attention_latent::<T, O>(
            a.queries,
            a.keys,
            a.batch,
            a.heads,
            group,
            window,
            splits,
            section,
            a.scale,
            cap,
            form,
            plan,
            score,
            q,
            k,
            query_ends,
            key_ends,
            lengths,
            table,
            sinks,
            launch,
            parts,
            arrivals,
            problem.lse,
            problem.out,
        )
    })
}
