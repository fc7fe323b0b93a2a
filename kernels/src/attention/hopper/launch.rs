//! Attention that Hopper's own kernel takes.

use std::any::TypeId;

use kernelsmith::launch::ViewArg;
use kernelsmith::prelude::*;

use super::config::{self, Plan, Tile};
use super::forward::attention_forward;
use super::latent;
use super::scores::ScoreFn;
use crate::attention::combine::combine_parts;
use crate::attention::decode::part_len;
use crate::attention::form::ScoreFunction;
use crate::attention::launch::Problem;
use crate::error::Error;

/// How an attention is to be computed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::attention) struct Choice {
    pub(super) tile: Tile,
    pub(super) plan: Plan,
    pub(super) splits: usize,
    /// Heads that are worked on together, and pieces of work.
    pub(super) section: usize,
    pub(super) pieces: usize,
}

/// Launches an attention that is computed so; nothing is empty.
pub(in crate::attention) fn attend<T: Float, O: Num, S: ScoreFunction>(
    problem: Problem<'_, T, O>,
    choice: Choice,
    score: S,
) -> Result<(), Error> {
    let score = if problem.form.scored { erased(score) } else { ScoreFn::unchanged() };
    let to_f32 = TypeId::of::<O>() == TypeId::of::<f32>();
    match (TypeId::of::<T>() == TypeId::of::<bf16>(), to_f32) {
        (true, false) => bf16s(of_types(problem)?, choice, score),
        (true, true) => bf16s_to_f32(of_types(problem)?, choice, score),
        (false, false) => f16s(of_types(problem)?, choice, score),
        (false, true) => f16s_to_f32(of_types(problem)?, choice, score),
    }
}

/// The function behind a pointer.
fn erased<S: ScoreFunction>(_: S) -> ScoreFn {
    fn call<S: ScoreFunction>(
        score: Val<f32>,
        head: Val<usize>,
        query: Val<usize>,
        key: Val<usize>,
    ) -> Val<f32> {
        assert_eq!(size_of::<S>(), 0, "asked before");
        // SAFETY: `S` has no bytes that a copy of it could lack, it is `Copy`, and there was one:
        // `erased` was given it.
        let function: S = unsafe { std::ptr::NonNull::<S>::dangling().read() };
        function(score, head, query, key)
    }
    ScoreFn::new(call::<S>)
}

/// How Hopper's kernel computes an attention, if the device is a Hopper GPU, there is a kernel for it, and the
/// copy engine can walk its tensors.
pub(in crate::attention) fn choose<T: Float, O: Num>(
    problem: &Problem<'_, T, O>,
) -> Option<Choice> {
    let device = problem.out.device();
    let walks = |view: &ViewArg<'_, T, 4>| {
        let (shape, strides) = view.layout();
        config::walks(shape, strides, view.address(), 2)
    };
    let [from, to] = [TypeId::of::<T>(), TypeId::of::<O>()];
    let types = [TypeId::of::<f16>(), TypeId::of::<bf16>()].contains(&from)
        && [from, TypeId::of::<f32>()].contains(&to);
    let (shape, strides) = problem.out.layout();
    // Pairs of outputs are stored together.
    let pairs = strides[3] == 1
        && (0..3).all(|axis| shape[axis] == 1 || strides[axis].is_multiple_of(2))
        && problem.out.address().is_multiple_of(8);
    let walked = [&problem.q, &problem.k, &problem.v].into_iter().all(walks);
    let a = &problem.a;
    if !config::is_hopper(device.target()) || !types || !walked || !pairs || a.scale <= 0.0 {
        return None;
    }
    if let Some(choice) = latent::choose(problem) {
        return Some(choice);
    }
    let tile = config::tile(a.dimension, a.value_dimension, a.causal)?;
    let paged = problem.table.is_some();
    if paged && !problem.k.shape()[2].is_multiple_of(tile.keys) {
        return None;
    }
    let group = a.heads / a.kv_heads;
    let pack = config::pack(a.queries, group, 64 * config::warpgroups(usize::MAX));
    let warpgroups = config::warpgroups(a.queries.saturating_mul(pack));
    let plan = Plan {
        warpgroups,
        pack,
        columns: a.value_dimension,
        ragged: paged || problem.key_ends.is_some() || problem.lengths.is_some(),
        turns: warpgroups > 1 && tile.values <= 128,
        lazy: true,
        polynomials: if tile.values <= 64 { 2 } else { 0 },
    };
    let (heads, each) = if pack > 1 { (a.kv_heads, 1) } else { (a.heads, group) };
    let pieces = (heads * a.batch).checked_mul(a.queries.div_ceil(plan.queries()))?;
    let units = device.limits().compute_units as usize;
    let splits = config::splits(pieces, a.keys.div_ceil(tile.keys), units);
    let section =
        config::section(a.keys.saturating_mul(2 * (a.dimension + a.value_dimension)), each);
    let pieces = pieces.checked_mul(splits).filter(|&pieces| pieces < 1 << 31)?;
    Some(Choice { tile, plan, splits, section, pieces })
}

/// The same problem, of types that its own are.
fn of_types<'a, T: Float, O: Num, U: Float, P: Num>(
    problem: Problem<'a, T, O>,
) -> Result<Problem<'a, U, P>, Error> {
    let Problem { a, form, query_ends, key_ends, lengths, table, sinks, lse, out, .. } = problem;
    let [q, k, v] = [problem.q, problem.k, problem.v].map(view_of);
    let (shape, strides) = out.layout();
    let out = View::of_mut(out.into_data().cast()?, shape).strides(strides);
    Ok(Problem {
        a,
        form,
        q: q?,
        k: k?,
        v: v?,
        query_ends,
        key_ends,
        lengths,
        table,
        sinks,
        lse,
        out,
    })
}

fn view_of<'a, T: Float, U: Float>(view: ViewArg<'a, T, 4>) -> Result<ViewArg<'a, U, 4>, Error> {
    let (shape, strides) = view.layout();
    Ok(View::of(view.data().cast()?, shape).strides(strides))
}

/// Functions without parameters of their own, so that the kernels are compiled with this crate.
macro_rules! of {
    ($($name:ident: $t:ty, $o:ty;)*) => {$(
        fn $name(problem: Problem<'_, $t, $o>, choice: Choice, score: ScoreFn) -> Result<(), Error> {
            let Tile { columns, values, keys } = choice.tile;
            match (columns, values, keys) {
                (64, ..) => launch::<$t, $o, 64, 64, 128>(problem, choice, score),
                (96, ..) => launch::<$t, $o, 96, 96, 128>(problem, choice, score),
                (128, _, 128) => launch::<$t, $o, 128, 128, 128>(problem, choice, score),
                (128, ..) => launch::<$t, $o, 128, 128, 176>(problem, choice, score),
                (192, 128, _) => launch::<$t, $o, 192, 128, 128>(problem, choice, score),
                (192, ..) => launch::<$t, $o, 192, 192, 96>(problem, choice, score),
                (576, ..) => latent::launch::<$t, $o>(problem, choice, score),
                _ => launch::<$t, $o, 256, 256, 80>(problem, choice, score),
            }
        }
    )*};
}

of! {
    bf16s: bf16, bf16;
    bf16s_to_f32: bf16, f32;
    f16s: f16, f16;
    f16s_to_f32: f16, f32;
}

fn launch<T: Float, O: Num, const D: usize, const DV: usize, const BN: usize>(
    problem: Problem<'_, T, O>,
    choice: Choice,
    score: ScoreFn,
) -> Result<(), Error>
where
    Wgmma<T, BN>: WgmmaAtom<Input = T, Sum = f32>,
    Wgmma<T, DV>: WgmmaAtom<Input = T, Sum = f32>,
{
    let (group, window, cap) = problem.numbers();
    let Problem { a, form, q, k, v, query_ends, key_ends, lengths, table, sinks, lse, mut out } =
        problem;
    let Choice { plan, splits, section, pieces, .. } = choice;
    let alike = !form.causal && !plan.ragged && query_ends.is_none();
    let device = out.device().clone();
    let ([outer, _, rows, d], [apart, across, down, _]) = q.layout();
    let q = View::of(q.data(), [outer, a.kv_heads, rows, group, d]).strides([
        apart,
        across * group,
        down,
        across,
        1,
    ]);
    let rows = a.batch * a.heads * a.queries;
    let (dv, len) = (a.value_dimension, part_len(a.value_dimension));
    // SAFETY: each part is written before it is read.
    let mut parts = unsafe {
        Buffer::<f32>::uninit(&device, if splits > 1 { rows * splits * len } else { 0 })
    }?;
    let to = (splits > 1).then(|| View::of_mut(&mut parts, [rows, splits, len]));
    let (own_lse, lse) = if splits > 1 { (None, lse) } else { (lse, None) };
    attention_forward::<T, O, D, DV, BN>(
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
        v,
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
        // Row by row here: the splits of a row are next to each other.
        let (pairs, own, apart) = (a.batch * a.kv_heads, group * a.queries, query_ends.is_none());
        let strides = [own * splits * len, len, splits * len, 1];
        let parts = View::of(&parts, [pairs, splits, own, len]).strides(strides);
        combine_parts::<O>(
            a.batch, group, a.queries, dv, apart, parts, query_ends, sinks, lse, out,
        )
        .grid((pairs, own))
        .launch(&device)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use kernelsmith::Target;

    use super::*;
    use crate::attention::Attention;
    use crate::attention::form::Form;

    /// How an attention of bf16 is computed whose queries, keys and values have rows so far apart.
    fn chosen(device: &Device, a: Attention, apart: usize) -> Option<Choice> {
        let Attention { batch, heads, kv_heads, queries, keys, dimension: d, .. } = a;
        let q = Buffer::<bf16>::zeros(device, batch * heads * queries * apart).unwrap();
        let k = Buffer::<bf16>::zeros(device, batch * kv_heads * keys * apart).unwrap();
        let mut out = Buffer::<bf16>::zeros(device, batch * heads * queries * d).unwrap();
        let rows = |heads: usize, rows: usize| [heads * rows * apart, rows * apart, apart, 1];
        let problem = Problem {
            a,
            form: Form { causal: a.causal, windowed: false, capped: false, scored: false },
            q: View::of(&q, [batch, heads, queries, d]).strides(rows(heads, queries)),
            k: View::of(&k, [batch, kv_heads, keys, d]).strides(rows(kv_heads, keys)),
            v: View::of(&k, [batch, kv_heads, keys, d]).strides(rows(kv_heads, keys)),
            query_ends: None,
            key_ends: None,
            lengths: None,
            table: None,
            sinks: None,
            lse: None,
            out: View::of_mut(&mut out, [batch, heads, queries, d]),
        };
        choose(&problem)
    }

    #[test]
    fn hopper_takes_what_its_copy_engine_walks() {
        let hopper = Device::interpreter();
        let a = Attention::new(256, 256, 64).heads(2);
        assert!(chosen(&hopper, a, 64).is_some());
        assert!(chosen(&hopper, a.causal(), 72).is_some());
        // Rows at multiples of 140 bytes.
        assert_eq!(chosen(&hopper, a, 70), None);
        assert_eq!(chosen(&hopper, a.scale(-1.0), 64), None);
        let other = Device::interpreter_for(Target::sm(80, false));
        assert_eq!(chosen(&other, a, 64), None);
    }

    #[test]
    fn decoding_packs_heads_and_splits_keys() {
        let hopper = Device::interpreter();
        let a = Attention::new(1, 4096, 128).heads(8).kv_heads(1);
        let choice = chosen(&hopper, a, 128).unwrap();
        assert_eq!((choice.plan.pack, choice.plan.warpgroups), (8, 1));
        let units = hopper.limits().compute_units as usize;
        assert_eq!(choice.splits, config::splits(1, 4096 / choice.tile.keys + 1, units));
    }
}
