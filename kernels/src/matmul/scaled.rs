//! Products of 8-bit floats with scales.

use kernelsmith::BufferView;
use kernelsmith::launch::{SliceArg, ViewArg, ViewMutArg};
use kernelsmith::prelude::*;

use super::builder::{Identity, Map, Matmul};
use super::element::Output;
use super::epilogue::Pointwise;
use super::hopper;
use crate::error::{Error, check_len};

/// Elements along k that a scale of A is for, and along k and n one of B, where they are in blocks.
const BLOCK: usize = hopper::BLOCK;

/// What elements of 8-bit floats are multiplied by before products are taken of them.
#[derive(Clone, Copy)]
pub enum Scales<'a> {
    /// One scale for A and one for B.
    PerTensor(BufferView<'a, f32>, BufferView<'a, f32>),
    /// One for each row of A, `m` of them, and one for each column of B, `n`.
    PerRow(BufferView<'a, f32>, BufferView<'a, f32>),
    /// One for each 128 elements of a row of A, `m x k.div_ceil(128)`, and one for each 128 x 128 of B,
    /// `k.div_ceil(128) x n.div_ceil(128)` (DeepSeek-V3 Technical Report, section 3.3.2).
    InBlocks(ViewArg<'a, f32, 2>, ViewArg<'a, f32, 2>),
}

impl<'a> Scales<'a> {
    /// One scale for A and one for B.
    pub fn per_tensor(a: impl Into<SliceArg<'a, f32>>, b: impl Into<SliceArg<'a, f32>>) -> Self {
        Scales::PerTensor(a.into().view(), b.into().view())
    }

    /// One for each row of A, and one for each column of B.
    pub fn per_row(a: impl Into<SliceArg<'a, f32>>, b: impl Into<SliceArg<'a, f32>>) -> Self {
        Scales::PerRow(a.into().view(), b.into().view())
    }
}

/// `C = map(A * B + bias)` of `A: m x k` and `B: k x n`, 8-bit floats of one type, each element times its
/// [scale](Scales), summed in f32. What PyTorch has as `_scaled_mm`, and DeepGEMM for scales in blocks.
///
/// On Hopper, where rows of A and columns of B are contiguous and begin at multiples of 16 bytes (so weights
/// that are stored `n x k`: `View::of(&weights, [n, k]).transposed()`), by its tensor cores, of whose sums
/// those of each 128 products are added up in f32. Elsewhere both factors are converted to f32 first, which
/// takes 4 bytes of memory for each element.
///
/// ```
/// use kernelsmith::prelude::*;
/// use kernelsmith_kernels::matmul::{ScaledMatmul, Scales};
///
/// # fn main() -> Result<(), kernelsmith_kernels::Error> {
/// let device = Device::cpu();
/// let quarters = |x: [f32; 2]| x.map(|x| e4m3::from_f32(4.0 * x));
/// let x = Buffer::from_slice(&device, &quarters([0.5, -1.25]))?;
/// let weights = Buffer::from_slice(&device, &quarters([1.0, 0.25]))?;
/// let scale = Buffer::from_slice(&device, &[0.25f32])?;
/// let mut y = Buffer::<f32>::zeros(&device, 1)?;
/// ScaledMatmul::new(View::of(&x, [1, 2]), View::of(&weights, [2, 1]), Scales::per_tensor(&scale, &scale))
///     .run(View::of_mut(&mut y, [1, 1]))?;
/// assert_eq!(y.to_vec()?, [0.5 - 1.25 * 0.25]);
/// # Ok(())
/// # }
/// ```
#[must_use = "a product is computed when `run` is called"]
pub struct ScaledMatmul<'a, T: Float8, F = Identity> {
    a: ViewArg<'a, T, 2>,
    b: ViewArg<'a, T, 2>,
    scales: Scales<'a>,
    bias: Option<BufferView<'a, f32>>,
    map: F,
}

/// An 8-bit float that products are taken of: `e4m3` and `e5m2`.
pub trait Float8: Stored {
    /// Launches a product by a kernel of the device's own matrix instructions, if it is one of those
    /// that it takes.
    #[doc(hidden)]
    fn by_matrix_units<O: Num, F: Pointwise<f32>>(
        problem: &mut Scaled<'_, Self, O>,
        map: F,
    ) -> Option<Result<(), Error>>;
}

macro_rules! floats {
    ($($ty:ty),*) => {
        $(impl Float8 for $ty {
            fn by_matrix_units<O: Num, F: Pointwise<f32>>(
                problem: &mut Scaled<'_, Self, O>,
                map: F,
            ) -> Option<Result<(), Error>> {
                hopper::scaled_product::<$ty, _, _, _>(problem, map)
            }
        })*
    };
}

floats!(e4m3, e5m2);

/// A product whose arguments fit each other.
#[doc(hidden)]
pub struct Scaled<'p, T: Stored, O: Num> {
    pub(super) a: ViewArg<'p, T, 3>,
    /// `k x n`.
    pub(super) b: ViewArg<'p, T, 3>,
    /// `m x 1`, or `m x k / 128` in blocks.
    pub(super) a_scales: ViewArg<'p, f32, 2>,
    /// `1 x n`, or `k / 128 x n / 128` in blocks.
    pub(super) b_scales: ViewArg<'p, f32, 2>,
    pub(super) blocks: bool,
    pub(super) bias: Option<ViewArg<'p, f32, 3>>,
    pub(super) map: bool,
    pub(super) c: ViewMutArg<'p, O, 3>,
}

impl<'a, T: Float8> ScaledMatmul<'a, T> {
    /// `A * B`.
    pub fn new(a: ViewArg<'a, T, 2>, b: ViewArg<'a, T, 2>, scales: Scales<'a>) -> Self {
        ScaledMatmul { a, b, scales, bias: None, map: Identity }
    }
}

impl<'a, T: Float8, F: Map<f32>> ScaledMatmul<'a, T, F> {
    /// Adds an element of `bias` to each column of C.
    pub fn bias(self, bias: impl Into<SliceArg<'a, f32>>) -> Self {
        Self { bias: Some(bias.into().view()), ..self }
    }

    /// Applies a function to each element; in kernels, so it captures nothing.
    pub fn map<G: Map<f32>>(self, map: G) -> ScaledMatmul<'a, T, G> {
        let ScaledMatmul { a, b, scales, bias, map: _ } = self;
        ScaledMatmul { a, b, scales, bias, map }
    }

    /// Launches the product on the device of C.
    ///
    /// # Errors
    /// Shapes that do not fit each other; views that reach beyond their buffers; a view of C that names an
    /// element twice; a function that captures values; arguments on several devices; the device's.
    pub fn run<O: Output<f32>>(self, c: ViewMutArg<'_, O, 2>) -> Result<(), Error> {
        let ScaledMatmul { a, b, scales, bias, map } = self;
        let [m, n] = c.shape();
        let k = a.shape()[1];
        let rows = |argument, found: [usize; 2], expected: [usize; 2], rule: &str| match found {
            _ if found == expected => Ok(()),
            [rows, columns] => Err(Error::Shape {
                argument,
                found: format!("shape [{rows}, {columns}]"),
                rule: format!("it must be {rule}, {expected:?}"),
            }),
        };
        rows("a", a.shape(), [m, k], "as high as `c`")?;
        rows("b", b.shape(), [k, n], "the columns of `a` by those of `c`")?;
        let (a_scales, b_scales, blocks) = match scales {
            Scales::PerTensor(a, b) => {
                check_len("scales of a", a.len(), "1", Some(1))?;
                check_len("scales of b", b.len(), "1", Some(1))?;
                let all = |x, shape| View::of(x, shape).strides([0, 0]);
                (all(a, [m, 1]), all(b, [1, n]), false)
            }
            Scales::PerRow(a, b) => {
                check_len("scales of a", a.len(), "m", Some(m))?;
                check_len("scales of b", b.len(), "n", Some(n))?;
                (View::of(a, [m, 1]), View::of(b, [1, n]), false)
            }
            Scales::InBlocks(a, b) => {
                let (deep, across) = (k.div_ceil(BLOCK), n.div_ceil(BLOCK));
                rows("scales of a", a.shape(), [m, deep], "one for 128 columns of a row of `a`")?;
                rows("scales of b", b.shape(), [deep, across], "one for 128 x 128 of `b`")?;
                (a, b, true)
            }
        };
        for (argument, checked) in [("scales of a", a_scales), ("scales of b", b_scales)] {
            checked.check(argument)?;
        }
        a.check("a")?;
        b.check("b")?;
        c.check("c")?;
        if let Some(bias) = bias {
            check_len("bias", bias.len(), "the columns of `c`", Some(n))?;
        }
        if m * n == 0 {
            return Ok(());
        }
        let bias_rows = bias.map(|bias| View::of(bias, [1, m, n]).strides([0, 0, 1]));
        let mut scaled = Scaled {
            a: single(a),
            b: single(b),
            a_scales,
            b_scales,
            blocks,
            bias: bias_rows,
            map: F::SOME,
            c: single_mut(c),
        };
        let apply = move |x: Val<f32>| map.apply(x);
        if k > 0
            && let Some(launched) = T::by_matrix_units(&mut scaled, apply)
        {
            return launched;
        }
        by_f32(scaled, bias, apply)
    }
}

fn single<T: Stored>(x: ViewArg<'_, T, 2>) -> ViewArg<'_, T, 3> {
    let ([rows, columns], [down, along]) = x.layout();
    View::of(x.data(), [1, rows, columns]).strides([0, down, along])
}

fn single_mut<T: Stored>(x: ViewMutArg<'_, T, 2>) -> ViewMutArg<'_, T, 3> {
    let ([rows, columns], [down, along]) = x.layout();
    View::of_mut(x.into_data(), [1, rows, columns]).strides([0, down, along])
}

/// The product of the factors as f32, each times its scales.
fn by_f32<T: Stored, O: Output<f32>, F: Pointwise<f32>>(
    scaled: Scaled<'_, T, O>,
    bias: Option<BufferView<'_, f32>>,
    map: F,
) -> Result<(), Error> {
    let Scaled { a, b, a_scales, b_scales, blocks, c, .. } = scaled;
    let ([_, m, k], n) = (a.shape(), b.shape()[2]);
    // In blocks, elements that have a scale in common; else a row or column has one.
    let a = unscaled(a, a_scales, if blocks { [1, BLOCK] } else { [1, k.max(1)] })?;
    let b = unscaled(b, b_scales, if blocks { [BLOCK, BLOCK] } else { [k.max(1), 1] })?;
    let product = Matmul::<f32, O>::new(View::of(&a, [1, m, k]), View::of(&b, [1, k, n])).map(map);
    match bias {
        Some(bias) => product.bias(bias).run(c),
        None => product.run(c),
    }
}

fn unscaled<T: Stored>(
    x: ViewArg<'_, T, 3>,
    scales: ViewArg<'_, f32, 2>,
    [tall, wide]: [usize; 2],
) -> Result<Buffer<f32>, Error> {
    let device = x.device().clone();
    let [_, rows, columns] = x.shape();
    // SAFETY: the kernel writes every element.
    let mut y = unsafe { Buffer::<f32>::uninit(&device, rows * columns) }?;
    if rows * columns > 0 {
        let (across, down) = (columns.div_ceil(256), rows.min(65535));
        unscale(tall, wide, x, scales, View::of_mut(&mut y, [rows, columns]))
            .grid((across, down))
            .launch(&device)?;
    }
    Ok(y)
}

/// `y = x`, as f32, times scales, of which each is for `tall` rows and `wide` columns.
#[kernel(block = 256)]
pub fn unscale<T: Stored>(
    tall: usize,
    wide: usize,
    x: &View<T, 3>,
    scales: &View<f32, 2>,
    y: &mut View<f32, 2>,
) {
    let column = global_idx_x();
    for row in (block_idx_y()..y.shape(0)).step_by(grid_dim_y()) {
        if column < y.shape(1) {
            let value = x[[0, row, column]] as f32;
            y[[row, column]] = value * scales[[row / tall, column / wide]];
        }
    }
}
