//! Which way a product takes on Hopper: what a search found for products of its size, else what the model
//! finds fastest.

use std::any::TypeId;

use kernelsmith::prelude::*;
use kernelsmith::tune::{Mode, Tuned, Tuner, version_of};

use super::choice;
use super::config::{Config, Product};
use super::family::Family;
use super::launch::{by_config, same};
use super::work::Work;
use crate::error::Error;
use crate::matmul::Summed;
use crate::matmul::problem::Terms;
use crate::matmul::tuning::{Choices, is_small, mode};

/// What the kernels' speed depends on: records of other sources are refused.
const VERSION: u64 = version_of(&[
    include_bytes!("config.rs"),
    include_bytes!("cooperative.rs"),
    include_bytes!("launch.rs"),
    include_bytes!("leave.rs"),
    include_bytes!("operand.rs"),
    include_bytes!("pingpong.rs"),
    include_bytes!("schedule.rs"),
    include_bytes!("work.rs"),
    include_bytes!("../epilogue.rs"),
    include_bytes!("../finish.rs"),
]);

/// What a choice depends on: the product, its instruction and what it is stored as, multiprocessors, whether
/// a search is asked for.
type Key = (Product, [TypeId; 2], usize, bool);

/// The choices of this process.
static CHOSEN: Choices<Key, Option<Config>> = Choices::new();

/// The way a product takes, if there is a kernel for it.
pub(super) fn choose<W, T, E, O>(work: &Work<'_, T, E, O>) -> Result<Option<Config>, Error>
where
    W: Family<Input = T>,
    T: Stored,
    E: Num + Summed,
    O: Num,
{
    let (product, units) = (work.product(), work.units());
    let types = [TypeId::of::<W>(), TypeId::of::<O>()];
    let key = (product, types, units, work.tuned);
    if let Some(config) = CHOSEN.get(&key) {
        return Ok(config);
    }
    let model = choice::choose(&product, units);
    let Product { batch, m, n, depth, element, .. } = product;
    let unasked = is_small([batch, m, n, depth / element]) && !work.tuned;
    let found = match model {
        Some(_) if !unasked => found::<W, T, E, O>(work)?,
        _ => None,
    };
    let config = found.or(model);
    CHOSEN.insert(key, config);
    // What a search found holds for whoever does not ask for one, too.
    CHOSEN.insert((product, types, units, false), config);
    Ok(config)
}

/// What a search found, or finds now if that is asked for.
fn found<W, T, E, O>(work: &Work<'_, T, E, O>) -> Result<Option<Config>, Error>
where
    W: Family<Input = T>,
    T: Stored,
    E: Num + Summed,
    O: Num,
{
    let Some(mode) = mode(work.tuned)? else { return Ok(None) };
    let device = work.c.device();
    let tuner = Tuner::new(device).mode(mode);
    match mode {
        Mode::Search => Ok(Some(search::<W, T, E, O>(work, tuner)?.config)),
        _ => Ok(prepared::<W, O>(device, &work.product(), tuner).recorded()?),
    }
}

/// The products that share a record: any number of rows, and of matrices, up to the same power of two. Which
/// rules a way obeys does not depend on these.
fn bucket(product: &Product) -> Product {
    let up = |x: usize| x.checked_next_power_of_two().unwrap_or(x);
    Product { batch: up(product.batch), m: up(product.m), ..*product }
}

/// The tuner of a product.
fn prepared<'t, W: Family, O: Num>(
    device: &Device,
    product: &Product,
    tuner: Tuner<'t>,
) -> Tuner<'t, Config> {
    let product = bucket(product);
    let [a, b] = product.along.map(|along| if along { "along" } else { "across" });
    let name = format!("matmul of Hopper {} to {}, A {a} k, B {b} k", W::NAME, O::TYPE);
    let units = device.limits().compute_units as usize;
    tuner
        .key(name, &[product.batch, product.m, product.n, product.depth / product.element])
        .version(format_args!("{VERSION:016x}"))
        .candidates(choice::ranked(&product, units))
}

/// Measures the product of the problem's factors, without its epilogue, into memory of its own: the
/// caller's C may be part of its product. What fits the L2 cache is measured as it lies there.
fn search<W, T, E, O>(work: &Work<'_, T, E, O>, tuner: Tuner<'_>) -> Result<Tuned<Config>, Error>
where
    W: Family<Input = T>,
    T: Stored,
    E: Num + Summed,
    O: Num,
{
    let (device, [batch, m, n]) = (work.c.device(), work.c.shape());
    // Rows that the copy engine can write: of a multiple of 16 bytes.
    let row = n.next_multiple_of(16 / size_of::<O>());
    let matrix = m * row;
    // SAFETY: nobody reads it.
    let mut c = unsafe { Buffer::<O>::uninit(device, batch * matrix) }?;
    prepared::<W, O>(device, &work.product(), tuner).run(|&config| {
        let c = View::of_mut(&mut c, [batch, m, n]).strides([matrix, row, 1]);
        let terms = Terms::default();
        let mut once = Work { a: work.a, b: work.b, terms, c, tuned: false };
        by_config::<W, T, E, O, _>(config, &mut once, same::<E>)
    })
}

#[cfg(test)]
mod tests;
