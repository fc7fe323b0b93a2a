//! When an attention is one to latents, and how it is launched.

use kernelsmith::launch::ViewArg;
use kernelsmith::prelude::*;

use super::super::config::{self, Plan};
use super::super::launch::Choice;
use super::super::scores::ScoreFn;
use super::kernel::attention_latent;
use super::plan::{COLUMNS, HALF, KEYS, ROWS, TILE, VALUES, packed};
use crate::attention::combine::combine_parts;
use crate::attention::decode::part_len;
use crate::attention::launch::Problem;
use crate::error::Error;

/// How the kernel computes an attention that the copy engine can walk, if it is one to latents: of their
/// dimensions, one head of keys, and values that are the keys' first columns.
pub(in crate::attention::hopper) fn choose<T: Float, O: Num>(
    problem: &Problem<'_, T, O>,
) -> Option<Choice> {
    let a = &problem.a;
    let dimensions = (a.dimension, a.value_dimension) == (COLUMNS, VALUES);
    let page = problem.k.shape()[2];
    let pages = problem.table.is_none() || page.is_multiple_of(KEYS);
    if !dimensions || a.kv_heads != 1 || !pages || !begins(&problem.k, &problem.v) {
        return None;
    }
    let group = packed(a.heads);
    let plan = Plan {
        warpgroups: 1,
        pack: group.next_power_of_two(),
        columns: VALUES,
        ragged: problem.table.is_some() || problem.key_ends.is_some() || problem.lengths.is_some(),
        turns: false,
        lazy: true,
        polynomials: 0,
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
fn begins<T: Float>(k: &ViewArg<'_, T, 4>, v: &ViewArg<'_, T, 4>) -> bool {
    let ((shape, k_strides), (_, v_strides)) = (k.layout(), v.layout());
    let alike = (0..4).all(|axis| shape[axis] == 1 || k_strides[axis] == v_strides[axis]);
    alike && k.address() == v.address()
}

/// Launches it.
pub(in crate::attention::hopper) fn launch<T: Float, O: Num>(
    problem: Problem<'_, T, O>,
    choice: Choice,
    score: ScoreFn,
) -> Result<(), Error>
where
    Wgmma<T, KEYS>: WgmmaAtom<Input = T, Sum = f32>,
    Wgmma<T, HALF>: WgmmaAtom<Input = T, Sum = f32>,
{
    let (_, window, cap) = problem.numbers();
    let Problem {
        a, form, q, k, query_ends, key_ends, lengths, table, sinks, lse, mut out, ..
    } = problem;
    let Choice { plan, splits, section, pieces, .. } = choice;
    let alike = !form.causal && !plan.ragged && query_ends.is_none();
    let device = out.device().clone();
    let group = packed(a.heads);
    let ([outer, _, rows, d], [apart, across, down, _]) = q.layout();
    let q = View::of(q.data(), [outer, a.heads / group, rows, group, d]);
    let q = q.strides([apart, across * group, down, across, 1]);
    let (rows, len) = (a.batch * a.heads * a.queries, part_len(VALUES));
    // SAFETY: each part is written before it is read.
    let mut parts = unsafe {
        Buffer::<f32>::uninit(&device, if splits > 1 { rows * splits * len } else { 0 })
    }?;
    let to = (splits > 1).then(|| View::of_mut(&mut parts, [rows, splits, len]));
    let (own_lse, lse) = if splits > 1 { (None, lse) } else { (lse, None) };
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
        to,
        own_lse,
        out.reborrow(),
    )
    .grid(config::blocks(pieces, device.limits().compute_units as usize, alike))
    .launch(&device)?;
    if splits > 1 {
        let (own, apart) = (a.heads * a.queries, query_ends.is_none());
        let strides = [own * splits * len, len, splits * len, 1];
        let parts = View::of(&parts, [a.batch, splits, own, len]).strides(strides);
        combine_parts::<O>(
            a.batch, a.heads, a.queries, VALUES, apart, parts, query_ends, sinks, lse, out,
        )
        .grid((a.batch, own))
        .launch(&device)?;
    }
    Ok(())
}
