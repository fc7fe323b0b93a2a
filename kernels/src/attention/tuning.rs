//! Which configuration an attention takes on the CPU: what a search found for attentions of its size, else
//! the model's first.

use std::any::TypeId;

use kernelsmith::prelude::*;
use kernelsmith::tune::{Tuned, Tuner, version_of};

use super::builder::FlashAttention;
use super::cpu_config::{self, CpuConfig, Shape};
use super::element::AttentionElement;
use super::form::ScoreFunction;
use super::launch::Problem;
use super::shape::Attention;
use crate::error::Error;
use crate::matmul::is_cpu;
use crate::tuning::{Choices, Wanted, rounded};

/// What the kernels' speed depends on: records of other sources are refused.
const VERSION: u64 = version_of(&[
    include_bytes!("rows.rs"),
    include_bytes!("decode.rs"),
    include_bytes!("decode_tiles.rs"),
    include_bytes!("key_sums.rs"),
    include_bytes!("combine.rs"),
    include_bytes!("online.rs"),
    include_bytes!("words.rs"),
    include_bytes!("gather.rs"),
    include_bytes!("launch.rs"),
    include_bytes!("cpu_config.rs"),
]);

/// Pairs of a query and a key below which nobody looks for records unasked: a launch takes microseconds.
const SMALL: usize = 1 << 14;

/// What a choice depends on: shape, elements, threads.
type Key = (Shape, TypeId, usize);

/// The choices of this process.
static CHOICES: Choices<Key, CpuConfig> = Choices::new();

/// The configuration of an attention on the CPU.
pub(super) fn choose<T: Float + AttentionElement, O: Num, S>(
    problem: &Problem<'_, T, O>,
    score: S,
    tuned: bool,
) -> Result<CpuConfig, Error>
where
    S: ScoreFunction,
{
    let (shape, device) = (problem.cpu_shape(), problem.out.device());
    let threads = device.threads();
    let pairs = [shape.batch, shape.kv_heads, shape.group, shape.queries, shape.seen];
    let pairs = pairs.into_iter().fold(1, usize::saturating_mul);
    let wanted = Wanted { tuned, small: pairs < SMALL };
    CHOICES.choose(
        device,
        (shape, TypeId::of::<T>(), threads),
        wanted,
        |tuner, searching| match searching {
            true => Ok(Some(search(problem, score, tuner)?.config)),
            false => Ok(prepared(problem, tuner).recorded()?),
        },
        || cpu_config::default(&shape, device.machine(), threads),
    )
}

/// The attentions that share a record.
fn bucket(shape: Shape) -> Shape {
    let Shape { batch, queries, keys, seen, .. } = shape;
    let [batch, queries, keys, seen] = [batch, queries, keys, seen].map(rounded);
    Shape { batch, queries, keys, seen, ..shape }
}

/// The tuner of an attention.
fn prepared<'t, T: Float + AttentionElement, O: Num>(
    problem: &Problem<'_, T, O>,
    tuner: Tuner<'t>,
) -> Tuner<'t, CpuConfig> {
    let (shape, device) = (bucket(problem.cpu_shape()), problem.out.device());
    let Shape { batch, kv_heads, group, queries, keys, seen, dimension, value_dimension, .. } =
        shape;
    let seen_by_all = if shape.causal { "causal" } else { "full" };
    let name = format!("attention {} to {}, {seen_by_all}", T::TYPE, O::TYPE);
    tuner
        .key(name, &[batch, kv_heads, group, queries, keys, seen, dimension, value_dimension])
        .version(format_args!("{VERSION:016x}"))
        .candidates(cpu_config::ranked(&shape, device.machine(), device.threads()))
}

/// Measures the attention into memory of its own: outputs see one attention, whatever is tried.
fn search<T: Float + AttentionElement, O: Num, S>(
    problem: &Problem<'_, T, O>,
    score: S,
    tuner: Tuner<'_>,
) -> Result<Tuned<CpuConfig>, Error>
where
    S: ScoreFunction,
{
    let shape = problem.out.shape();
    let mut out = Buffer::<O>::zeros(problem.out.device(), shape.iter().product())?;
    prepared(problem, tuner)
        .run(|&config| problem.again(View::of_mut(&mut out, shape)).on_cpu(config, score))
}

/// Searches for the best configuration of an attention of dense tensors on the CPU. `tuner` says where, for
/// how long and who listens; what it finds is kept, and used by all attentions of about this size.
///
/// # Errors
/// The numbers of `attention` do not go together, or one is 0; the device is no CPU; memory is short; what
/// [`Tuner::run`] says.
pub fn tune_attention<T: Float + AttentionElement>(
    device: &Device,
    attention: Attention,
    tuner: Tuner<'_>,
) -> Result<Tuned<CpuConfig>, Error> {
    let wrong =
        |argument, found, rule: &str| Err(Error::Shape { argument, found, rule: rule.to_owned() });
    if !is_cpu(device) {
        let found = format!("the kind {}", device.kind());
        return wrong("device", found, "only attention on the CPU has a choice");
    }
    attention.check()?;
    let (Some(queries), Some(keys)) = (attention.query_elements(), attention.key_elements()) else {
        return wrong("attention", format!("{attention:?}"), "its elements must be countable");
    };
    if queries == 0 || keys == 0 {
        return wrong("attention", format!("{attention:?}"), "an empty one has no choice");
    }
    // No zeros, which might be quicker somewhere.
    let ones = |len| Buffer::from_slice(device, &vec![T::ONE; len]);
    let Attention { dimension: d, value_dimension: dv, .. } = attention;
    let (q, k, v) = (ones(queries)?, ones(keys)?, ones(keys / d * dv)?);
    let mut out = Buffer::<f32>::zeros(device, queries / d * dv)?;
    let (v, out) = (Some((&v).into()), (&mut out).into());
    let problem =
        FlashAttention::new(attention).problem::<T, f32>((&q).into(), (&k).into(), v, out)?;
    let problem = problem.expect("there are outputs");
    search(&problem, |score, _, _, _| score, tuner)
}

#[cfg(test)]
mod tests;
