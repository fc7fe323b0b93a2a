//! Pairs of products of one left factor, of which one gates the other.

use kernelsmith::launch::{ViewArg, ViewMutArg};
use kernelsmith::prelude::*;

use super::builder::Matmul;
use super::element::{Factor, Output};
use super::operand::{Matrix, MatrixMut, normal};
use crate::elementwise::zip_map_views;
use crate::error::Error;
use crate::number::SmallFloat;

/// What makes one number of a gate and what it gates; in kernels, so it captures nothing.
pub trait Combine: Fn(Val<f32>, Val<f32>) -> Val<f32> + Copy + 'static {}

impl<F: Fn(Val<f32>, Val<f32>) -> Val<f32> + Copy + 'static> Combine for F {}

/// `C = combine(A * gate, A * up)`, element by element: the first half of a feed-forward network with gates
/// (Shazeer, "GLU Variants Improve Transformer", 2020), by [`swiglu`](crate::activation::swiglu) or
/// [`geglu`](crate::activation::geglu). `A: m x k`, `gate` and `up`: `k x n`, of any strides: two views of
/// one buffer serve weights that are stored together. Sums are in f32.
///
/// On Hopper, f16 and bf16 are multiplied by one kernel that keeps both products in registers. Elsewhere they
/// are two products in f32, which a third pass combines.
///
/// ```
/// use kernelsmith::prelude::*;
/// use kernelsmith_kernels::matmul::GatedMatmul;
///
/// # fn main() -> Result<(), kernelsmith_kernels::Error> {
/// let device = Device::cpu();
/// let x = Buffer::from_slice(&device, &[1.0f32, 2.0])?;
/// let gate = Buffer::from_slice(&device, &[1.0f32, -1.0])?;
/// let up = Buffer::from_slice(&device, &[3.0f32, 1.0])?;
/// let mut y = Buffer::<f32>::zeros(&device, 1)?;
/// GatedMatmul::new(View::of(&x, [1, 2]), View::of(&gate, [2, 1]), View::of(&up, [2, 1]))
///     .run(|gate: Val<f32>, up: Val<f32>| gate * up, View::of_mut(&mut y, [1, 1]))?;
/// assert_eq!(y.to_vec()?, [(1.0 - 2.0) * (3.0 + 2.0)]);
/// # Ok(())
/// # }
/// ```
#[must_use = "products are computed when `run` is called"]
pub struct GatedMatmul<'a, T: Factor<Sum = f32>> {
    a: ViewArg<'a, T, 2>,
    gate: ViewArg<'a, T, 2>,
    up: ViewArg<'a, T, 2>,
}

/// Products whose arguments fit each other.
#[doc(hidden)]
pub struct Gated<'p, T: Num, O: Num> {
    pub(super) a: ViewArg<'p, T, 3>,
    pub(super) gate: ViewArg<'p, T, 3>,
    pub(super) up: ViewArg<'p, T, 3>,
    pub(super) c: ViewMutArg<'p, O, 3>,
}

impl<'a, T: Factor<Sum = f32>> GatedMatmul<'a, T> {
    /// Products of `a` with `gate` and with `up`.
    pub fn new(
        a: ViewArg<'a, T, 2>,
        gate: ViewArg<'a, T, 2>,
        up: ViewArg<'a, T, 2>,
    ) -> GatedMatmul<'a, T> {
        GatedMatmul { a, gate, up }
    }

    /// Launches the products on the device of C, whose rows' elements are next to each other.
    ///
    /// # Errors
    /// Shapes that do not fit each other; views that reach beyond their buffers; a view of C that names an
    /// element twice; a function that captures values; arguments on several devices; the device's.
    pub fn run<O: Output<f32> + SmallFloat>(
        self,
        combine: impl Combine,
        mut c: ViewMutArg<'_, O, 2>,
    ) -> Result<(), Error> {
        let GatedMatmul { a, gate, up } = self;
        let ([m, n], k) = (c.shape(), a.shape()[1]);
        for (argument, found, expected) in
            [("a", a.shape(), [m, k]), ("gate", gate.shape(), [k, n]), ("up", up.shape(), [k, n])]
        {
            if found != expected {
                let rule = format!("it must be {expected:?}, by the shapes of `a` and `c`");
                return Err(Error::Shape { argument, found: format!("shape {found:?}"), rule });
            }
        }
        a.check("a")?;
        gate.check("gate")?;
        up.check("up")?;
        c.check("c")?;
        if m * n == 0 {
            return Ok(());
        }
        if k > 0 {
            let view = |x| normal(Matrix::from(x).view);
            let mut gated = Gated {
                a: view(a),
                gate: view(gate),
                up: view(up),
                c: MatrixMut::from(c.reborrow()).view,
            };
            if let Some(launched) = T::gated_by_matrix_units(&mut gated, combine) {
                return launched;
            }
        }
        let product = |b| {
            // SAFETY: the product writes every element.
            let mut sums = unsafe { Buffer::<f32>::uninit(c.device(), m * n) }?;
            Matmul::<T, f32>::new(a, b).run(View::of_mut(&mut sums, [m, n]))?;
            Ok::<_, Error>(sums)
        };
        let (gates, ups) = (product(gate)?, product(up)?);
        zip_map_views(View::of(&gates, [m, n]), View::of(&ups, [m, n]), c, combine)
    }
}
