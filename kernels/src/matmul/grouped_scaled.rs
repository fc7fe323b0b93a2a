//! Products of groups of rows of 8-bit floats with scales, each with a right factor of its own.

use kernelsmith::BufferView;
use kernelsmith::launch::{SliceArg, ViewArg};
use kernelsmith::prelude::*;

use super::builder::{Identity, Map};
use super::element::Output;
use super::epilogue::function;
use super::grouped::{Group, Grouped, check, one_by_one};
use super::hopper::BLOCK;
use super::operand::MatrixMut;
use super::scaled::{ScaledFactor, ScaledMatmul, Scales, single};
use crate::error::Error;

/// `C = map(A * B)` of groups of rows of A, each with a matrix of `B: groups x k x n` of its own, of 8-bit elements
/// with [scales in blocks](Scales::InBlocks): the experts of DeepSeek-V3, what DeepGEMM has as its grouped products.
///
/// Groups are as those of [`GroupedMatmul`](super::GroupedMatmul): one behind the other in `A: rows x k`
/// ([`new`](Self::new)), or matrices `A: groups x most x k` of which the first rows count
/// ([`masked`](Self::masked)). A has scales `rows x k.div_ceil(128)`, or `groups x most x k.div_ceil(128)`, and B
/// `groups x k.div_ceil(128) x n.div_ceil(128)`.
///
/// On Hopper, `e4m3` and `e5m2` whose rows of A and columns of B are contiguous and begin at multiples of 16 bytes
/// (weights that are stored `groups x n x k`: `View::of(&weights, [groups, n, k]).transposed()`) are multiplied by one
/// launch that reads the groups itself; each 128 products are added up in f32. Elsewhere the host reads them,
/// which waits for what writes them, and launches a [`ScaledMatmul`] for each group.
///
/// ```
/// use kernelsmith::prelude::*;
/// use kernelsmith_kernels::matmul::GroupedScaledMatmul;
///
/// # fn main() -> Result<(), kernelsmith_kernels::Error> {
/// let device = Device::cpu();
/// // Two tokens for the first expert, one for the second.
/// let x = Buffer::from_slice(&device, &[1.0, 2.0, 3.0].map(e4m3::from_f32))?;
/// let experts = Buffer::from_slice(&device, &[1.0, 2.0].map(e4m3::from_f32))?;
/// let (of_x, of_experts) =
///     (Buffer::from_slice(&device, &[1.0f32; 3])?, Buffer::from_slice(&device, &[10.0f32, 50.0])?);
/// let ends = Buffer::from_slice(&device, &[2u32, 3])?;
/// let mut y = Buffer::<f32>::zeros(&device, 3)?;
/// GroupedScaledMatmul::new(
///     View::of(&x, [3, 1]),
///     View::of(&experts, [2, 1, 1]),
///     (View::of(&of_x, [3, 1]), View::of(&of_experts, [2, 1, 1])),
///     &ends,
/// )
/// .run(View::of_mut(&mut y, [3, 1]))?;
/// assert_eq!(y.to_vec()?, [10.0, 20.0, 300.0]);
/// # Ok(())
/// # }
/// ```
#[must_use = "products are computed when `run` is called"]
pub struct GroupedScaledMatmul<'a, T: ScaledFactor, F = Identity> {
    /// Of three dimensions, with whether it is a matrix for each group.
    a: ViewArg<'a, T, 3>,
    batched: bool,
    b: ViewArg<'a, T, 3>,
    a_scales: ViewArg<'a, f32, 3>,
    b_scales: ViewArg<'a, f32, 3>,
    ends: BufferView<'a, u32>,
    map: F,
}

impl<'a, T: ScaledFactor> GroupedScaledMatmul<'a, T> {
    /// Groups of rows that follow each other: group `i` ends before row `ends[i]`, where the next begins. Ends
    /// do not decrease. `scales` are A's and B's.
    pub fn new(
        a: ViewArg<'a, T, 2>,
        b: ViewArg<'a, T, 3>,
        scales: (ViewArg<'a, f32, 2>, ViewArg<'a, f32, 3>),
        ends: impl Into<SliceArg<'a, u32>>,
    ) -> Self {
        let (a, a_scales) = (single(a), single(scales.0));
        let ends = ends.into().view();
        let b_scales = scales.1;
        GroupedScaledMatmul { a, batched: false, b, a_scales, b_scales, ends, map: Identity }
    }

    /// Groups that are matrices: the first `rows[i]` rows of the `i`th count.
    pub fn masked(
        a: ViewArg<'a, T, 3>,
        b: ViewArg<'a, T, 3>,
        scales: (ViewArg<'a, f32, 3>, ViewArg<'a, f32, 3>),
        rows: impl Into<SliceArg<'a, u32>>,
    ) -> Self {
        let (a_scales, b_scales) = scales;
        let ends = rows.into().view();
        GroupedScaledMatmul { a, batched: true, b, a_scales, b_scales, ends, map: Identity }
    }
}

impl<'a, T: ScaledFactor, F: Map<f32>> GroupedScaledMatmul<'a, T, F> {
    /// Applies a function to each element; in kernels, so it captures nothing.
    pub fn map<G: Map<f32>>(self, map: G) -> GroupedScaledMatmul<'a, T, G> {
        let GroupedScaledMatmul { a, batched, b, a_scales, b_scales, ends, map: _ } = self;
        GroupedScaledMatmul { a, batched, b, a_scales, b_scales, ends, map }
    }

    /// Launches the products on the device of C.
    ///
    /// # Errors
    /// As [`GroupedMatmul::run`](super::GroupedMatmul::run)'s, and scales of other shapes.
    pub fn run<'c, O: Output<f32>>(self, c: impl Into<MatrixMut<'c, O>>) -> Result<(), Error> {
        let GroupedScaledMatmul { a, batched, b, a_scales, b_scales, ends, map } = self;
        let c = c.into();
        check((&a, batched), &b, ends, &c)?;
        let c = c.view;
        let ([matrices, rows, k], [groups, _, n]) = (a.shape(), b.shape());
        let (deep, across) = (k.div_ceil(BLOCK), n.div_ceil(BLOCK));
        for (argument, scales, expected, rule) in [
            (
                "scales of a",
                a_scales,
                [matrices, rows, deep],
                "one for 128 columns of a row of `a`",
            ),
            ("scales of b", b_scales, [groups, deep, across], "one for 128 x 128 of each of `b`"),
        ] {
            if scales.shape() != expected {
                let found = format!("shape {:?}", scales.shape());
                let rule = format!("it must be {rule}, {expected:?}");
                return Err(Error::Shape { argument, found, rule });
            }
            scales.check(argument)?;
        }
        if groups * rows * n == 0 {
            return Ok(());
        }
        let scales = Some((a_scales, b_scales));
        let mut grouped = Grouped { a, b, ends, masked: batched, map: F::SOME, scales, c };
        if k > 0
            && let Some(launched) = T::grouped_by_matrix_units(&mut grouped, function(map))
        {
            return launched;
        }
        one_by_one(grouped, |Group { number, at: [matrix, first], a, b, c }| {
            let rows = a.shape()[0];
            let of_a = part(a_scales, [matrix, first], rows)?;
            let of_b = part(b_scales, [number, 0], deep)?;
            ScaledMatmul::new(a, b, Scales::InBlocks(of_a, of_b)).map(map).run(c)
        })
    }
}

/// `rows` rows of a matrix, from the first on.
fn part<'a>(
    x: ViewArg<'a, f32, 3>,
    [matrix, first]: [usize; 2],
    rows: usize,
) -> Result<ViewArg<'a, f32, 2>, Error> {
    let ([_, _, columns], [apart, down, along]) = x.layout();
    let from = matrix * apart + first * down;
    Ok(View::of(x.data().slice(from..)?, [rows, columns]).strides([down, along]))
}
