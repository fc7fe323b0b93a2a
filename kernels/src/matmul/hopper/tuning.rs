//! Which way a product takes on Hopper: what a search found for products of its size, else what the model
//! finds fastest.

use std::any::TypeId;

use kernelsmith::prelude::*;
use kernelsmith::tune::{Tuned, Tuner, version_of};

use super::choice;
use super::config::{Config, Product};
use super::family::Family;
use super::work::Work;
use crate::error::Error;
use crate::matmul::Summed;
use crate::matmul::problem::Terms;
use crate::matmul::tuning::is_small;
use crate::tuning::{Choices, Wanted, rounded};

/// What the kernels' speed depends on: records of other sources are refused.
const VERSION: u64 = version_of(&[
    include_bytes!("config.rs"),
    include_bytes!("cooperative.rs"),
    include_bytes!("launch.rs"),
    include_bytes!("launch_scaled.rs"),
    include_bytes!("leave.rs"),
    include_bytes!("operand.rs"),
    include_bytes!("pingpong.rs"),
    include_bytes!("scaled.rs"),
    include_bytes!("schedule.rs"),
    include_bytes!("stream.rs"),
    include_bytes!("work.rs"),
    include_bytes!("../epilogue.rs"),
    include_bytes!("../finish.rs"),
]);

/// How sums are held, which says what kernels there are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Sums {
    /// By the tensor cores alone.
    Plain,
    /// Of 8-bit floats, promoted to f32 of the CUDA cores; with scales in blocks, or without.
    Promoted { blocks: bool },
}

impl Sums {
    /// Every way there is, the one that the model finds fastest first.
    fn ranked(self, product: &Product, units: usize) -> Vec<Config> {
        match self {
            Sums::Plain => choice::ranked(product, units),
            Sums::Promoted { .. } => choice::promoted(product, units),
        }
    }

    /// What records call it.
    fn name(self) -> &'static str {
        match self {
            Sums::Plain => "matmul",
            Sums::Promoted { blocks: false } => "promoted matmul",
            Sums::Promoted { blocks: true } => "promoted matmul with scales in blocks",
        }
    }
}

/// What a choice depends on: the product, how it is summed, its instruction and what it is stored as,
/// multiprocessors.
type Key = (Product, Sums, [TypeId; 2], usize);

/// The choices of this process.
static CHOICES: Choices<Key, Option<Config>> = Choices::new();

/// The way a product takes, if there is a kernel for it. A search measures ways by `run`, which launches one
/// without an epilogue.
pub(super) fn choose<W: Family, E: Summed, O: Num>(
    work: &Work<'_, W::Input, E, O>,
    sums: Sums,
    run: impl FnMut(Config, &mut Work<'_, W::Input, E, O>) -> Result<(), Error>,
) -> Result<Option<Config>, Error> {
    let (product, units, device) = (work.product(), work.units(), work.c.device());
    let types = [TypeId::of::<W>(), TypeId::of::<O>()];
    let Product { batch, m, n, depth, element, .. } = product;
    let small = is_small([batch, m, n, depth / element]);
    let first = || sums.ranked(&product, units).into_iter().next();
    CHOICES.choose(
        device,
        (product, sums, types, units),
        Wanted { tuned: work.tuned, small },
        |tuner, searching| {
            // Nothing is to be tried of what there is no kernel for.
            if first().is_none() {
                return Ok(None);
            }
            Ok(match searching {
                true => Some(Some(search::<W, E, O>(work, sums, tuner, run)?.config)),
                false => prepared::<W, O>(device, &product, sums, tuner).recorded()?.map(Some),
            })
        },
        first,
    )
}

/// The products that share a record: any number of rows, and of matrices, up to the same power of two. Which
/// rules a way obeys does not depend on these.
fn bucket(product: &Product) -> Product {
    Product { batch: rounded(product.batch), m: rounded(product.m), ..*product }
}

/// The tuner of a product.
fn prepared<'t, W: Family, O: Num>(
    device: &Device,
    product: &Product,
    sums: Sums,
    tuner: Tuner<'t>,
) -> Tuner<'t, Config> {
    let product = bucket(product);
    let [a, b] = product.along.map(|along| if along { "along" } else { "across" });
    let (kernel, from, to) = (sums.name(), W::NAME, O::TYPE);
    let more = if product.bare { "" } else { ", more than sums" };
    let name = format!("{kernel} of Hopper {from} to {to}, A {a} k, B {b} k{more}");
    let units = device.limits().compute_units as usize;
    tuner
        .key(name, &[product.batch, product.m, product.n, product.depth / product.element])
        .version(format_args!("{VERSION:016x}"))
        .candidates(sums.ranked(&product, units))
}

/// Measures the product of the problem's factors, without its epilogue, into memory of its own: the
/// caller's C may be part of its product. What fits the L2 cache is measured as it lies there.
fn search<W: Family, E: Summed, O: Num>(
    work: &Work<'_, W::Input, E, O>,
    sums: Sums,
    tuner: Tuner<'_>,
    mut run: impl FnMut(Config, &mut Work<'_, W::Input, E, O>) -> Result<(), Error>,
) -> Result<Tuned<Config>, Error> {
    let (device, [batch, m, n]) = (work.c.device(), work.c.shape());
    // Rows that the copy engine can write: of a multiple of 16 bytes.
    let row = n.next_multiple_of(16 / size_of::<O>());
    let matrix = m * row;
    // SAFETY: nobody reads it.
    let mut c = unsafe { Buffer::<O>::uninit(device, batch * matrix) }?;
    prepared::<W, O>(device, &work.product(), sums, tuner).run(|&config| {
        let c = View::of_mut(&mut c, [batch, m, n]).strides([matrix, row, 1]);
        let terms = Terms::default();
        let mut once = Work { a: work.a, b: work.b, terms, c, tuned: false };
        run(config, &mut once)
    })
}

#[cfg(test)]
mod tests;
