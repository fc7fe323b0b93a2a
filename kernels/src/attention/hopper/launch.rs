//! Attention that Hopper's own kernel takes.

use kernelsmith::ir::Scalar;
use kernelsmith::launch::{Launch, ViewArg};
use kernelsmith::prelude::*;

use super::config::{self, Plan, Tile};
use super::forward::attention_forward;
use super::latent;
use super::scores::ScoreFn;
use crate::attention::Attention;
use crate::attention::decode::part_len;
use crate::attention::element::AttentionElement;
use crate::attention::form::ScoreFunction;
use crate::attention::launch::Problem;
use crate::attention::workspace::{Arrivals, AttentionWorkspace};
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
pub(in crate::attention) fn attend<T: Stored, O: Num, S: ScoreFunction>(
    problem: Problem<'_, T, O>,
    choice: Choice,
    score: S,
) -> Result<(), Error> {
    let score = if problem.form.scored { erased(score) } else { ScoreFn::unchanged() };
    match (T::TYPE, O::TYPE) {
        (Scalar::E4M3, Scalar::F32) => bytes_to_f32(of_types(problem)?, choice, score),
        (Scalar::E4M3, Scalar::F16) => bytes_to_f16(of_types(problem)?, choice, score),
        (Scalar::E4M3, _) => bytes_to_bf16(of_types(problem)?, choice, score),
        (Scalar::BF16, Scalar::F32) => bf16s_to_f32(of_types(problem)?, choice, score),
        (Scalar::BF16, _) => bf16s(of_types(problem)?, choice, score),
        (_, Scalar::F32) => f16s_to_f32(of_types(problem)?, choice, score),
        _ => f16s(of_types(problem)?, choice, score),
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
pub(in crate::attention) fn choose<T: Stored, O: Num>(
    problem: &Problem<'_, T, O>,
) -> Option<Choice> {
    let (device, element) = (problem.out.device(), size_of::<T>());
    let walks = |view: &ViewArg<'_, T, 4>| {
        let (shape, strides) = view.layout();
        config::walks(shape, strides, view.address(), element)
    };
    let types = match (T::TYPE, O::TYPE) {
        (Scalar::E4M3 | Scalar::F16 | Scalar::BF16, Scalar::F32) => true,
        (Scalar::E4M3, to) => [Scalar::F16, Scalar::BF16].contains(&to),
        (from @ (Scalar::F16 | Scalar::BF16), to) => from == to,
        _ => false,
    };
    let (shape, strides) = problem.out.layout();
    // Pairs of outputs are stored together, or four.
    let together = if element == 1 { 4 } else { 2 };
    let pairs = strides[3] == 1
        && (0..3).all(|axis| shape[axis] == 1 || strides[axis].is_multiple_of(together))
        && problem.out.address().is_multiple_of(4 * together as u64);
    let walked = [&problem.q, &problem.k, &problem.v].into_iter().all(walks);
    let a = &problem.a;
    if !config::is_hopper(device.target()) || !types || !walked || !pairs || a.scale <= 0.0 {
        return None;
    }
    if let Some(choice) = latent::choose(problem) {
        return Some(choice);
    }
    let paged = problem.table.is_some();
    // Pages of 64 keys are whole pieces of a tile of 128, not of one of 176.
    let tile = config::tile(a.dimension, a.value_dimension, a.causal || paged, element)?;
    let per_copy = match paged {
        true => Some(config::per_copy(problem.k.shape()[2], tile.keys)?),
        false => None,
    };
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
        // Where exponentials take as long as products.
        polynomials: if (tile.columns + tile.values) * element <= 256 { 2 } else { 0 },
        per_copy,
    };
    let (heads, each) = if pack > 1 { (a.kv_heads, 1) } else { (a.heads, group) };
    let pieces = (heads * a.batch).checked_mul(a.queries.div_ceil(plan.queries()))?;
    let units = device.limits().compute_units as usize;
    let splits = config::splits(pieces, a.keys.div_ceil(tile.keys), units);
    let columns = a.dimension + a.value_dimension;
    let section = config::section(a.keys.saturating_mul(element * columns), each);
    let pieces = pieces.checked_mul(splits).filter(|&pieces| pieces < 1 << 31)?;
    Some(Choice { tile, plan, splits, section, pieces })
}

/// The same problem, of types that its own are.
fn of_types<'a, T: Stored, O: Num, U: Stored, P: Num>(
    problem: Problem<'a, T, O>,
) -> Result<Problem<'a, U, P>, Error> {
    let [q, k, v] = [problem.q, problem.k, problem.v].map(view_of);
    let Problem { a, form, query_ends, key_ends, lengths, table, sinks, .. } = problem;
    let Problem { descales, lse, workspace, out, .. } = problem;
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
        descales,
        lse,
        workspace,
        out,
    })
}

fn view_of<'a, T: Stored, U: Stored>(view: ViewArg<'a, T, 4>) -> Result<ViewArg<'a, U, 4>, Error> {
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

/// The same of bytes, of which there are fewer tiles.
macro_rules! of_bytes {
    ($($name:ident: $o:ty;)*) => {$(
        fn $name(
            problem: Problem<'_, e4m3, $o>,
            choice: Choice,
            score: ScoreFn,
        ) -> Result<(), Error> {
            match (choice.tile.columns, choice.tile.values) {
                (64, _) => launch::<e4m3, $o, 64, 64, 128>(problem, choice, score),
                (128, _) => launch::<e4m3, $o, 128, 128, 128>(problem, choice, score),
                (192, 128) => launch::<e4m3, $o, 192, 128, 128>(problem, choice, score),
                (192, _) => launch::<e4m3, $o, 192, 192, 96>(problem, choice, score),
                _ => launch::<e4m3, $o, 256, 256, 64>(problem, choice, score),
            }
        }
    )*};
}

of_bytes! {
    bytes_to_bf16: bf16;
    bytes_to_f16: f16;
    bytes_to_f32: f32;
}

of! {
    bf16s: bf16, bf16;
    bf16s_to_f32: bf16, f32;
    f16s: f16, f16;
    f16s_to_f32: f16, f32;
}

fn launch<T: Stored + AttentionElement, O: Num, const D: usize, const DV: usize, const BN: usize>(
    problem: Problem<'_, T, O>,
    choice: Choice,
    score: ScoreFn,
) -> Result<(), Error>
where
    Wgmma<T, BN>: WgmmaAtom<Input = T, Sum = f32>,
    Wgmma<T, DV>: WgmmaAtom<Input = T, Sum = f32>,
{
    let (group, window, cap) = problem.numbers();
    let Choice { plan, splits, section, .. } = choice;
    launched(problem, choice, group, |problem, q, Arrivals { parts, arrivals, launch }| {
        let Problem { a, form, k, v, query_ends, key_ends, lengths, table, sinks, .. } = problem;
        let [q_factors, k_factors, v_factors] = problem.descales.views(&a);
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
            q_factors,
            k_factors,
            v_factors,
            launch,
            parts,
            arrivals,
            problem.lse,
            problem.out,
        )
    })
}

/// Launches a kernel that takes queries as `outer x heads / group x rows x group x d`, and memory for parts of the
/// keys, if they are divided.
pub(super) fn launched<'a, T: Stored, O: Num>(
    mut problem: Problem<'a, T, O>,
    choice: Choice,
    group: usize,
    kernel: impl for<'s> FnOnce(Problem<'s, T, O>, ViewArg<'s, T, 5>, Arrivals<'s>) -> Launch<'s>,
) -> Result<(), Error> {
    let Choice { plan, splits, pieces, .. } = choice;
    let Attention { batch, heads, queries, value_dimension, .. } = problem.a;
    let ragged = plan.ragged || problem.query_ends.is_some();
    let alike = !problem.form.causal && !ragged && splits == 1;
    let device = problem.out.device().clone();
    let ([outer, _, rows, d], [apart, across, down, _]) = problem.q.layout();
    let q = View::of(problem.q.data(), [outer, heads / group, rows, group, d]);
    let q = q.strides([apart, across * group, down, across, 1]);
    let mut own = None;
    let kept = problem.workspace.take();
    let parts = if splits > 1 {
        let workspace = match kept {
            Some(workspace) => workspace,
            None => own.insert(AttentionWorkspace::new(&device)?),
        };
        let rows = batch * heads * queries;
        workspace.arrivals(rows * splits * part_len(value_dimension), rows)?
    } else {
        Arrivals::default()
    };
    kernel(problem, q, parts)
        .grid(config::blocks(pieces, device.limits().compute_units as usize, alike))
        .launch(&device)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use kernelsmith::Target;

    use super::*;
    use crate::attention::eighths::Descales;
    use crate::attention::form::Form;

    /// How an attention of bf16 is computed whose queries, keys and values have rows so far apart.
    fn chosen(device: &Device, a: Attention, apart: usize) -> Option<Choice> {
        chosen_of(device, a, apart, None)
    }

    /// The same with keys in pages of so many.
    fn chosen_of(
        device: &Device,
        a: Attention,
        apart: usize,
        page: Option<usize>,
    ) -> Option<Choice> {
        let Attention { batch, heads, kv_heads, queries, keys, dimension: d, .. } = a;
        let q = Buffer::<bf16>::zeros(device, batch * heads * queries * apart).unwrap();
        let k = Buffer::<bf16>::zeros(device, batch * kv_heads * keys * apart).unwrap();
        let mut out = Buffer::<bf16>::zeros(device, batch * heads * queries * d).unwrap();
        let rows = |heads: usize, rows: usize| [heads * rows * apart, rows * apart, apart, 1];
        let table = page.map(|page| Buffer::<u32>::zeros(device, batch * keys / page).unwrap());
        // Of one sequence, whose pages lie one behind the other.
        let (outer, inner) = page.map_or((batch, keys), |page| (batch * keys / page, page));
        let pages = |x| View::of(x, [outer, kv_heads, inner, d]).strides(rows(kv_heads, inner));
        let problem = Problem {
            a,
            form: Form { causal: a.causal, windowed: false, capped: false, scored: false },
            q: View::of(&q, [batch, heads, queries, d]).strides(rows(heads, queries)),
            k: pages(&k),
            v: pages(&k),
            query_ends: None,
            key_ends: None,
            lengths: None,
            table: table.as_ref().map(|table| View::of(table, [batch, table.len() / batch])),
            sinks: None,
            descales: Descales::default(),
            lse: None,
            workspace: None,
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
        let paged = |page| chosen_of(&hopper, a, 64, Some(page)).map(|c| c.plan.per_copy);
        assert_eq!([16, 64, 256].map(paged), [16, 64, 128].map(|keys| Some(Some(keys))));
        assert_eq!(paged(4), None);
        // Rows at multiples of 140 bytes.
        assert_eq!(chosen(&hopper, a, 70), None);
        assert_eq!(chosen(&hopper, a.scale(-1.0), 64), None);
        let other = Device::interpreter_for(Target::sm(80, false));
        assert_eq!(chosen(&other, a, 64), None);
    }

    #[test]
    fn pages_are_whole_pieces_of_a_tile() {
        let a = Attention::new(256, 1024, 128);
        let keys = |page| {
            let choice = chosen_of(&Device::interpreter(), a, 128, page).unwrap();
            (choice.tile.keys, choice.plan.per_copy)
        };
        assert_eq!(keys(None), (176, None));
        assert_eq!(keys(Some(64)), (128, Some(64)));
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
