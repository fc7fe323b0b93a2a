//! Products of 8-bit floats and integers with scales.

mod elsewhere;
mod factor;

use kernelsmith::BufferView;
use kernelsmith::launch::{SliceArg, ViewArg, ViewMutArg};
use kernelsmith::prelude::*;

pub use elsewhere::{unscale, unscale_ir};
pub use factor::ScaledFactor;

use super::builder::{Identity, Map};
use super::element::Output;
use super::epilogue::{Steps, function};
use super::hopper;
use super::problem::Terms;
use crate::error::{Error, check_len};

/// Elements along k that a scale of A is for, and along k and n one of B, where they are in blocks.
const BLOCK: usize = hopper::BLOCK;

/// What elements of 8 bits are multiplied by before products are taken of them.
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

/// `C = map(A * B + bias)` of `A: m x k` and `B: k x n`, 8-bit floats or `i8`, of one type, each element times
/// its [scale](Scales), stored as f32, bf16 or f16. What PyTorch has as `_scaled_mm`, DeepGEMM for scales in
/// blocks, and vLLM as W8A8: `i8` with a scale for each token and each output channel.
///
/// On Hopper, where rows of A and columns of B are contiguous and begin at multiples of 16 bytes (so weights
/// that are stored `n x k`: `View::of(&weights, [n, k]).transposed()`), by its tensor cores. Of 8-bit floats the
/// sums of each 128 products are added up in f32, unless [`fast_accumulation`](Self::fast_accumulation) is
/// asked for; `i8` is summed in i32, exactly, but that sums wrap, and the scales are applied on the way to C.
///
/// Elsewhere 8-bit floats, and `i8` with scales in blocks, are converted to f32 first, which takes 4 bytes of
/// memory for each element; other `i8` is summed in i32 ([`Matmul`](super::Matmul)), which takes 4 bytes for each element of C.
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
pub struct ScaledMatmul<'a, T: ScaledFactor, F = Identity> {
    a: ViewArg<'a, T, 2>,
    b: ViewArg<'a, T, 2>,
    scales: Scales<'a>,
    bias: Option<BufferView<'a, f32>>,
    map: F,
    fast: bool,
    tuned: bool,
}

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
    /// Whether sums of 8-bit floats may be as inexact as tensor cores make them.
    pub(super) fast: bool,
    /// Whether to search for the best way if nobody has.
    pub(super) tuned: bool,
    pub(super) c: ViewMutArg<'p, O, 3>,
}

impl<'p, T: Stored, O: Num> Scaled<'p, T, O> {
    /// What becomes of the sums. Scales in blocks are no part of it.
    pub(super) fn terms(&self) -> Terms<'p, f32, O> {
        let [_, m, n] = self.c.shape();
        let wide = |scales: ViewArg<'p, f32, 2>| {
            let (_, [down, along]) = scales.layout();
            // Of an axis with one scale that stands for all, the stride leads nowhere.
            let stride = |len: usize, stride: usize| if len == 1 { 0 } else { stride };
            let [rows, columns] = scales.shape();
            let strides = [0, stride(rows, down), stride(columns, along)];
            View::of(scales.data(), [1, m, n]).strides(strides)
        };
        let steps = Steps { beta: false, map: self.map };
        let scales = match self.blocks {
            true => [None; 2],
            false => [Some(wide(self.a_scales)), Some(wide(self.b_scales))],
        };
        Terms { steps, bias: self.bias, scales, ..Terms::default() }
    }
}

impl<'a, T: ScaledFactor> ScaledMatmul<'a, T> {
    /// `A * B`.
    pub fn new(a: ViewArg<'a, T, 2>, b: ViewArg<'a, T, 2>, scales: Scales<'a>) -> Self {
        ScaledMatmul { a, b, scales, bias: None, map: Identity, fast: false, tuned: false }
    }
}

impl<'a, T: ScaledFactor, F: Map<f32>> ScaledMatmul<'a, T, F> {
    /// Adds an element of `bias` to each column of C.
    pub fn bias(self, bias: impl Into<SliceArg<'a, f32>>) -> Self {
        Self { bias: Some(bias.into().view()), ..self }
    }

    /// Applies a function to each element; in kernels, so it captures nothing.
    pub fn map<G: Map<f32>>(self, map: G) -> ScaledMatmul<'a, T, G> {
        let ScaledMatmul { a, b, scales, bias, map: _, fast, tuned } = self;
        ScaledMatmul { a, b, scales, bias, map, fast, tuned }
    }

    /// Leaves all sums of 8-bit floats to the tensor cores, which on Hopper add them up with about 14 bits
    /// (DeepSeek-V3 Technical Report, section 3.3.2): faster, and off by up to 2 per cent where 4096 are summed.
    /// cuBLASLt's `FAST_ACCUM`, PyTorch's `use_fast_accum`. Other devices sum in f32 all the same, and scales
    /// in blocks need it.
    pub fn fast_accumulation(self) -> Self {
        Self { fast: true, ..self }
    }

    /// Searches for the fastest way of products of about this size before the first of them, as
    /// [`Matmul::tuned`](super::Matmul::tuned) does.
    pub fn tuned(self) -> Self {
        Self { tuned: true, ..self }
    }

    /// Launches the product on the device of C.
    ///
    /// # Errors
    /// Shapes that do not fit each other; views that reach beyond their buffers; a view of C that names an
    /// element twice; a function that captures values; arguments on several devices; the device's.
    pub fn run<O: Output<f32>>(self, c: ViewMutArg<'_, O, 2>) -> Result<(), Error> {
        let ScaledMatmul { a, b, scales, bias, map, fast, tuned } = self;
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
            fast,
            tuned,
            c: single_mut(c),
        };
        if k > 0
            && let Some(launched) = T::by_matrix_units(&mut scaled, function(map))
        {
            return launched;
        }
        T::elsewhere(scaled, map)
    }
}

/// A matrix as the only one of a batch.
pub(super) fn single<T: Stored>(x: ViewArg<'_, T, 2>) -> ViewArg<'_, T, 3> {
    let ([rows, columns], [down, along]) = x.layout();
    View::of(x.data(), [1, rows, columns]).strides([0, down, along])
}

fn single_mut<T: Stored>(x: ViewMutArg<'_, T, 2>) -> ViewMutArg<'_, T, 3> {
    let ([rows, columns], [down, along]) = x.layout();
    View::of_mut(x.into_data(), [1, rows, columns]).strides([0, down, along])
}
