//! Products with all that can be done on the way.

use std::any::TypeId;

use kernelsmith::BufferView;
use kernelsmith::launch::SliceArg;
use kernelsmith::prelude::*;

use super::element::{Factor, Output};
use super::epilogue::{Pointwise, function};
use super::operand::{Matrix, MatrixMut, Right};
use super::packed::is_cpu;
use super::problem::{Problem, Terms};
use super::{cpu, finish, gpu, low};
use crate::error::Error;

/// `C = map(alpha * A * B + beta * C + bias) + residual`.
///
/// Factors and C are views of two dimensions, or of three: batches of matrices. A factor of two dimensions
/// serves a whole batch. Strides may be any: `View::of(&b, [n, k]).transposed()` is a factor as it lies in
/// the weights of most models. Whichever of rows and columns is contiguous is read along.
///
/// Elements of A and B are f32, f16 or bf16, summed in f32 and stored as f32, f16 or bf16; or all is f64;
/// or they are i8 and u8, each either of them, summed and stored as i32, exactly, but that sums wrap. So do
/// alpha, beta, bias and residual then, which are i32.
///
/// CPUs with AVX512-BF16 take products of bf16 by [`dot2`](kernelsmith::prelude::dot2()), two at a time,
/// for which denormals are zeros; all others convert them to f32.
///
/// ```
/// use kernelsmith::prelude::*;
/// use kernelsmith_kernels::activation::relu;
/// use kernelsmith_kernels::matmul::Matmul;
///
/// # fn main() -> Result<(), kernelsmith_kernels::Error> {
/// let device = Device::cpu();
/// let x = Buffer::from_slice(&device, &[1.0f32, -2.0])?;
/// // Three outputs of two inputs each.
/// let weights = Buffer::from_slice(&device, &[1.0f32, 0.0, 0.0, 1.0, 1.0, 1.0])?;
/// let bias = Buffer::from_slice(&device, &[0.0f32, 0.5, 3.0])?;
/// let mut y = Buffer::<f32>::zeros(&device, 3)?;
/// Matmul::new(View::of(&x, [1, 2]), View::of(&weights, [3, 2]).transposed())
///     .bias(&bias)
///     .map(relu)
///     .run(View::of_mut(&mut y, [1, 3]))?;
/// assert_eq!(y.to_vec()?, [1.0, 0.0, 2.0]);
/// # Ok(())
/// # }
/// ```
#[must_use = "a product is computed when `run` is called"]
pub struct Matmul<'a, T: Factor<U>, O: Num, F = Identity, U: Num = T> {
    a: Matrix<'a, T>,
    b: Right<'a, U>,
    alpha: T::Sum,
    beta: T::Sum,
    bias: Option<BufferView<'a, T::Sum>>,
    residual: Option<Matrix<'a, O>>,
    scales: [Option<BufferView<'a, T::Sum>>; 2],
    map: F,
    tuned: bool,
    tf32: bool,
}

/// What an epilogue does to each element.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no function of `Val<{S}>`, which an epilogue takes",
    note = "as in `.map(|x: Val<f32>| x * x)`"
)]
pub trait Map<S: Num>: Copy + 'static {
    /// Whether it does anything.
    const SOME: bool;
    /// What it makes of a value.
    fn apply(&self, x: Val<S>) -> Val<S>;
}

/// Leaves elements as they are.
#[derive(Clone, Copy, Debug)]
pub struct Identity;

impl<S: Num> Map<S> for Identity {
    const SOME: bool = false;
    fn apply(&self, x: Val<S>) -> Val<S> {
        x
    }
}

#[diagnostic::do_not_recommend]
impl<S: Num, F: Fn(Val<S>) -> Val<S> + Copy + 'static> Map<S> for F {
    const SOME: bool = true;
    fn apply(&self, x: Val<S>) -> Val<S> {
        self(x)
    }
}

impl<'a, T: Factor<U>, U: Num, O: Output<T::Sum>> Matmul<'a, T, O, Identity, U> {
    /// `A * B`.
    pub fn new(a: impl Into<Matrix<'a, T>>, b: impl Into<Right<'a, U>>) -> Self {
        let Terms { alpha, beta, .. } = Terms::<T::Sum, O>::default();
        let (a, b) = (a.into(), b.into());
        Matmul {
            a,
            b,
            alpha,
            beta,
            bias: None,
            residual: None,
            scales: [None; 2],
            map: Identity,
            tuned: false,
            tf32: false,
        }
    }
}

impl<O: Output<f32>, F: Map<f32>> Matmul<'_, f32, O, F> {
    /// Lets tensor cores read the upper 19 bits of each element of the factors, which is tf32 (PTX ISA,
    /// "Alternate Floating-Point Data Formats"): each may then be off by 2^-10 of itself, for many times
    /// the speed. Sums are in f32 either way. Off at first, as PyTorch's `allow_tf32`: f32 is f32.
    ///
    /// Devices without such products take those of f32, as do factors that do not lie as they want:
    /// Hopper, rows of A and columns of B that are contiguous and begin at multiples of 16 bytes.
    pub fn allow_tf32(self) -> Self {
        Self { tf32: true, ..self }
    }
}

impl<'a, T: Factor<U, Sum = f32>, U: Num, O: Output<f32>, F: Map<f32>> Matmul<'a, T, O, F, U> {
    /// Multiplies each row of the product by a scale of its own, `m` of them, before all else that is done
    /// to it: `C = map(alpha * scales * A * B + beta * C + bias) + residual`.
    ///
    /// Hopper's kernels do it on the way to C; other devices once the product is in memory.
    pub fn row_scales(mut self, scales: impl Into<SliceArg<'a, f32>>) -> Self {
        self.scales[0] = Some(scales.into().view());
        self
    }

    /// Multiplies each column of the product by a scale of its own, `n` of them; as
    /// [`row_scales`](Self::row_scales).
    pub fn column_scales(mut self, scales: impl Into<SliceArg<'a, f32>>) -> Self {
        self.scales[1] = Some(scales.into().view());
        self
    }
}

impl<'a, T: Factor<U>, U: Num, O: Output<T::Sum>, F: Map<T::Sum>> Matmul<'a, T, O, F, U> {
    /// Multiplies the product by a factor, 1 at first.
    pub fn alpha(self, alpha: T::Sum) -> Self {
        Self { alpha, ..self }
    }

    /// Adds C as it was, times a factor, 0 at first. With 0, C is not read: what it holds, NaN too, does not
    /// matter.
    pub fn beta(self, beta: T::Sum) -> Self {
        Self { beta, ..self }
    }

    /// Adds an element of `bias` to each column of C.
    pub fn bias(self, bias: impl Into<SliceArg<'a, T::Sum>>) -> Self {
        Self { bias: Some(bias.into().view()), ..self }
    }

    /// Adds a matrix, or a batch of them, at last, after the function of [`map`](Self::map).
    pub fn residual(self, residual: impl Into<Matrix<'a, O>>) -> Self {
        Self { residual: Some(residual.into()), ..self }
    }

    /// Applies a function to each element; in kernels, so it captures nothing. See
    /// [`activation`](crate::activation).
    pub fn map<G: Map<T::Sum>>(self, map: G) -> Matmul<'a, T, O, G, U> {
        let Matmul { a, b, alpha, beta, bias, residual, scales, map: _, tuned, tf32 } = self;
        Matmul { a, b, alpha, beta, bias, residual, scales, map, tuned, tf32 }
    }

    /// Searches, on the CPU and on Hopper, for the best way to compute products of about this size, unless
    /// that has been done before on this machine: the first launch then takes up to 3 seconds more. What it finds is
    /// kept, and also used where nobody asks. `KERNELSMITH_TUNE=off` turns it off; see
    /// [`kernelsmith::tune`].
    ///
    /// Another tile adds up deep products in another order: the last bits of C may differ from those before
    /// the search, and are the same from then on.
    pub fn tuned(self) -> Self {
        Self { tuned: true, ..self }
    }

    /// Launches the product on the device of C.
    ///
    /// # Errors
    /// Shapes that do not fit each other; views that reach beyond their buffers; a view of C that names an
    /// element twice; a function that captures values; arguments on several devices; the device's.
    pub fn run<'c>(self, c: impl Into<MatrixMut<'c, O>>) -> Result<(), Error>
    where
        'a: 'c,
        U: Factor<T, Sum = T::Sum>,
    {
        let Matmul { a, b, alpha, beta, bias, residual, scales, map, tuned, tf32 } = self;
        let mut problem = Problem::new(a, b, bias, residual, c.into())?;
        problem.terms.scales = problem.scales(scales)?;
        problem.tuned = tuned;
        problem.tf32 = tf32;
        problem.terms.alpha = alpha;
        problem.terms.beta = beta;
        problem.terms.steps.beta = beta != T::Sum::ZERO;
        problem.terms.steps.map = F::SOME;
        let map = function(map);
        let (m, n, k) = problem.extents();
        if problem.c.shape()[0] * m * n == 0 {
            return Ok(());
        }
        if k == 0 {
            return finish::finish::<T::Sum, _, _, _>(problem.terms, map, None, problem.c);
        }
        // Few columns are the few rows of the transposes' product.
        let low = is_cpu(problem.c.device()) && m > n && low::takes_columns(&problem);
        match problem.to_transpose(low) {
            Some(b) => by_rows(problem.transposed(b), map),
            None => by_rows(problem, map),
        }
    }
}

/// A product of which nothing is empty, and the columns of C are not contiguous or its rows are.
fn by_rows<T: Factor<U>, U: Num, O: Num, F>(
    mut problem: Problem<'_, T, U, O>,
    map: F,
) -> Result<(), Error>
where
    F: Pointwise<T::Sum>,
{
    let device = problem.c.device();
    if problem.terms.has_scales() {
        return scaled(problem, map);
    }
    let in_sums = TypeId::of::<O>() == TypeId::of::<T::Sum>();
    // The CPU's kernel keeps the sums of a deep product in C meanwhile.
    let on_cpu = is_cpu(device);
    let shallow = !on_cpu || problem.extents().2 <= cpu::deepest::<T, U>(device);
    let reads_c = problem.terms.steps.beta && T::has_matrix_units(device, problem.tf32);
    let direct = problem.c_units()[0] && !reads_c && (in_sums || shallow);
    if direct || on_cpu && low::takes(&problem) {
        return product(&mut problem, map);
    }
    in_two_steps(problem, map)
}

/// A product with scales of rows and columns: matrix units finish it on the way to C, others do not.
fn scaled<T: Factor<U>, U: Num, O: Num, F>(
    mut problem: Problem<'_, T, U, O>,
    map: F,
) -> Result<(), Error>
where
    F: Pointwise<T::Sum>,
{
    let direct = !problem.terms.steps.beta && problem.c_units()[0];
    if direct
        && !is_cpu(problem.c.device())
        && let Some(done) = T::by_matrix_units(&mut problem, map)
    {
        return done;
    }
    in_two_steps(problem, map)
}

/// The sums first, and then what is done to them.
fn in_two_steps<T: Factor<U>, U: Num, O: Num, F>(
    problem: Problem<'_, T, U, O>,
    map: F,
) -> Result<(), Error>
where
    F: Pointwise<T::Sum>,
{
    let Problem { a, b, c, terms, tuned, tf32 } = problem;
    let shape = c.shape();
    let len = shape.iter().product();
    // SAFETY: the product writes every element before the epilogue reads it.
    let mut sums = unsafe { Buffer::<T::Sum>::uninit(c.device(), len) }?;
    let to = View::of_mut(&mut sums, shape);
    product::<T, U, _, _>(
        &mut Problem { a, b, c: to, terms: Terms::default(), tuned, tf32 },
        function(Identity),
    )?;
    finish::finish(terms, map, Some(View::of(&sums, shape)), c)
}

/// A product whose C is as the device's kernel writes it.
fn product<T: Factor<U>, U: Num, O: Num, F>(
    problem: &mut Problem<'_, T, U, O>,
    map: F,
) -> Result<(), Error>
where
    F: Pointwise<T::Sum>,
{
    if is_cpu(problem.c.device()) {
        return cpu::product(problem, map);
    }
    T::by_matrix_units(problem, map).unwrap_or_else(|| gpu::product(problem, map))
}
