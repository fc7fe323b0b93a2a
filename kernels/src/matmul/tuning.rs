//! Which configuration a product takes on the CPU: what a search found for products of its size, else the
//! model's first.

use std::any::TypeId;

use kernelsmith::prelude::*;
use kernelsmith::tune::{Tuned, Tuner, version_of};

use super::builder::Identity;
use super::cpu;
use super::cpu_config::{self, CpuConfig, Right, Shape};
use super::element::{Factor, Output};
use super::epilogue::function;
use super::operand::{self, Matrix, MatrixMut, is_unit};
use super::packed::is_cpu;
use super::problem::{Problem, Terms};
use crate::error::Error;
use crate::tuning::{Choices, Wanted, rounded};

/// What the kernels' speed depends on: records of other sources are refused.
const VERSION: u64 = version_of(&[
    include_bytes!("panels.rs"),
    include_bytes!("left.rs"),
    include_bytes!("pack.rs"),
    include_bytes!("products.rs"),
    include_bytes!("epilogue.rs"),
    include_bytes!("cpu.rs"),
    include_bytes!("cpu_config.rs"),
]);

/// Multiply-adds below which nobody looks for records unasked: there is little to choose, and a launch
/// takes microseconds.
const SMALL: usize = 1 << 21;

/// What a choice depends on: shape, elements of the factors, how A lies, threads.
type Key = (Shape, [TypeId; 2], [bool; 2], usize);

/// The choices of this process.
static CHOICES: Choices<Key, CpuConfig> = Choices::new();

/// The configuration of a product.
pub(super) fn choose<T: Factor<U>, U: Num, O: Num>(
    problem: &Problem<'_, T, U, O>,
) -> Result<CpuConfig, Error> {
    let (shape, device) = (cpu::shape(problem), problem.c.device());
    let (units, threads) = (a_units(problem), device.threads());
    let types = [TypeId::of::<T>(), TypeId::of::<U>()];
    let wanted =
        Wanted { tuned: problem.tuned, small: is_small([shape.batch, shape.m, shape.n, shape.k]) };
    CHOICES.choose(
        device,
        (shape, types, units, threads),
        wanted,
        |tuner, searching| match searching {
            true => Ok(Some(search(problem, tuner)?.config)),
            false => Ok(prepared(problem, tuner).recorded()?),
        },
        || cpu_config::default(&shape, device.machine(), threads),
    )
}

/// Whether a product, with its batch, is so small that nobody looks for records unasked.
pub(super) fn is_small(extents: [usize; 4]) -> bool {
    extents.into_iter().fold(1, usize::saturating_mul) < SMALL
}

/// Whether elements of a row of A are next to each other; and of a column.
fn a_units<T: Factor<U>, U: Num, O: Num>(problem: &Problem<'_, T, U, O>) -> [bool; 2] {
    [2, 1].map(|axis| is_unit(&problem.a, axis))
}

/// The products that share a record: sizes rounded up to powers of two.
fn bucket(shape: Shape) -> Shape {
    let Shape { batch, m, n, k, .. } = shape;
    let [batch, m, n, k] = [batch, m, n, k].map(rounded);
    Shape { batch, m, n, k, ..shape }
}

/// The tuner of a product.
fn prepared<'t, T: Factor<U>, U: Num, O: Num>(
    problem: &Problem<'_, T, U, O>,
    tuner: Tuner<'t>,
) -> Tuner<'t, CpuConfig> {
    let (shape, device) = (bucket(cpu::shape(problem)), problem.c.device());
    let a = match a_units(problem) {
        [true, _] => "rows",
        [false, true] => "columns",
        [false, false] => "neither",
    };
    let b = match shape.b {
        Right::Packed => "packed",
        Right::Rows => "rows",
        Right::Columns => "columns",
    };
    let name = format!("matmul {} by {} to {}, A {a}, B {b}", T::TYPE, U::TYPE, O::TYPE);
    tuner
        .key(name, &[shape.batch, shape.m, shape.n, shape.k])
        .version(format_args!("{VERSION:016x}"))
        .candidates(cpu_config::ranked(&shape, device.machine(), device.threads()))
}

/// Measures the product of the problem's factors, without its epilogue, into memory of its own: the
/// caller's C may be part of its product.
fn search<T: Factor<U>, U: Num, O: Num>(
    problem: &Problem<'_, T, U, O>,
    tuner: Tuner<'_>,
) -> Result<Tuned<CpuConfig>, Error> {
    let shape = problem.c.shape();
    // SAFETY: each product writes every element before it reads any.
    let mut c = unsafe { Buffer::<O>::uninit(problem.c.device(), shape.iter().product()) }?;
    prepared(problem, tuner).run(|&config| {
        let (a, b, c) = (problem.a, problem.b, View::of_mut(&mut c, shape));
        let mut once = Problem { a, b, c, terms: Terms::default(), tuned: false, tf32: false };
        cpu::product_by(config, &mut once, function(Identity))
    })
}

/// Searches for the best configuration of `C = A * B`, all of them row-major, `A: m x k` and `B: k x n`, on
/// the CPU. `tuner` says where, for how long and who listens; what it finds is kept, and used by all products
/// of about this size and with matrices that lie like these.
///
/// # Errors
/// An extent is 0; the device is no CPU; memory is short; what [`Tuner::run`] says.
pub fn tune_matmul<T: Factor, O: Output<T::Sum>>(
    device: &Device,
    extents: (usize, usize, usize),
    tuner: Tuner<'_>,
) -> Result<Tuned<CpuConfig>, Error> {
    let (m, n, k) = extents;
    let wrong =
        |argument, found, rule: &str| Err(Error::Shape { argument, found, rule: rule.to_owned() });
    if !is_cpu(device) {
        return wrong(
            "device",
            format!("the kind {}", device.kind()),
            "only products on the CPU have a choice",
        );
    }
    if m.saturating_mul(n).saturating_mul(k) == 0 {
        return wrong("extents", format!("{m}, {n}, {k}"), "an empty product has no choice");
    }
    let numbers = |len: usize| -> Result<Buffer<T>, Error> {
        // No zeros, which might be quicker somewhere.
        let ones = vec![T::ONE; len];
        Ok(Buffer::from_slice(device, &ones)?)
    };
    let (a, b) = (numbers(m * k)?, numbers(k * n)?);
    let (a, b) = (View::of(&a, [m, k]), View::of(&b, [k, n]));
    // As `Matmul` does: deep products are summed elsewhere before they are stored as something else.
    match k <= cpu::deepest::<T, T>(device) {
        true => tune_into::<T, O>(a.into(), b.into(), tuner),
        false => tune_into::<T, T::Sum>(a.into(), b.into(), tuner),
    }
}

fn tune_into<'a, T: Factor, O: Num>(
    a: Matrix<'a, T>,
    b: Matrix<'a, T>,
    tuner: Tuner<'_>,
) -> Result<Tuned<CpuConfig>, Error> {
    let (device, (m, _), (_, n)) = (a.view.device(), a.extents(), b.extents());
    let mut c = Buffer::<O>::zeros(device, m * n)?;
    let c = MatrixMut::from(View::of_mut(&mut c, [m, n]));
    search(&Problem::new(a, operand::Right::Matrix(b), None, None, c)?, tuner)
}

#[cfg(test)]
mod tests;
