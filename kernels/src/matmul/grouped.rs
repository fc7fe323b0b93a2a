//! Products of groups of rows, each with a right factor of its own: the experts of a mixture.

use kernelsmith::BufferView;
use kernelsmith::launch::{SliceArg, ViewArg, ViewMutArg};
use kernelsmith::prelude::*;

use super::builder::{Identity, Map, Matmul};
use super::element::{Factor, Output};
use super::epilogue::function;
use super::operand::{Matrix, MatrixMut, normal};
use crate::error::{Error, check_len};

/// `C = map(A * B)` of groups of rows of A, each with a matrix of `B: groups x k x n` of its own: what PyTorch
/// has as `_grouped_mm` and DeepGEMM as its grouped products, for mixtures of experts.
///
/// Groups follow each other in `A: rows x k` and `C: rows x n` ([`new`](Self::new)), or each is a matrix of
/// its own in `A: groups x most x k` and `C: groups x most x n`, of which the first rows count
/// ([`masked`](Self::masked)). Which rows are whose a buffer of the device says. Rows of no group stay what
/// they were in C.
///
/// On Hopper, f16 and bf16 whose rows of A begin at multiples of 16 bytes are multiplied by one launch that
/// reads the buffer itself. Elsewhere the host reads it, which waits for what writes it, and launches a
/// [`Matmul`] for each group.
///
/// ```
/// use kernelsmith::prelude::*;
/// use kernelsmith_kernels::matmul::GroupedMatmul;
///
/// # fn main() -> Result<(), kernelsmith_kernels::Error> {
/// let device = Device::cpu();
/// // Two tokens for the first expert, one for the second.
/// let x = Buffer::from_slice(&device, &[1.0f32, 2.0, 3.0])?;
/// let experts = Buffer::from_slice(&device, &[10.0f32, 100.0])?;
/// let ends = Buffer::from_slice(&device, &[2u32, 3])?;
/// let mut y = Buffer::<f32>::zeros(&device, 3)?;
/// GroupedMatmul::new(View::of(&x, [3, 1]), View::of(&experts, [2, 1, 1]), &ends)
///     .run(View::of_mut(&mut y, [3, 1]))?;
/// assert_eq!(y.to_vec()?, [10.0, 20.0, 300.0]);
/// # Ok(())
/// # }
/// ```
#[must_use = "products are computed when `run` is called"]
pub struct GroupedMatmul<'a, T: Factor, F = Identity> {
    a: Matrix<'a, T>,
    b: ViewArg<'a, T, 3>,
    ends: BufferView<'a, u32>,
    map: F,
}

/// Products whose arguments fit each other.
#[doc(hidden)]
pub struct Grouped<'p, T: Stored, O: Num> {
    /// `1 x rows x k`, or `groups x most x k` if masked.
    pub(super) a: ViewArg<'p, T, 3>,
    pub(super) b: ViewArg<'p, T, 3>,
    pub(super) ends: BufferView<'p, u32>,
    pub(super) masked: bool,
    pub(super) map: bool,
    /// Of 8-bit floats, in blocks: of A, matrices as A's, and of B, one for each group.
    pub(super) scales: Option<(ViewArg<'p, f32, 3>, ViewArg<'p, f32, 3>)>,
    pub(super) c: ViewMutArg<'p, O, 3>,
}

impl<'a, T: Factor> GroupedMatmul<'a, T> {
    /// Groups of rows that follow each other: group `i` ends before row `ends[i]`, where the next begins. Ends
    /// do not decrease.
    pub fn new(
        a: ViewArg<'a, T, 2>,
        b: ViewArg<'a, T, 3>,
        ends: impl Into<SliceArg<'a, u32>>,
    ) -> Self {
        GroupedMatmul { a: a.into(), b, ends: ends.into().view(), map: Identity }
    }

    /// Groups that are matrices: the first `rows[i]` rows of the `i`th count.
    pub fn masked(
        a: ViewArg<'a, T, 3>,
        b: ViewArg<'a, T, 3>,
        rows: impl Into<SliceArg<'a, u32>>,
    ) -> Self {
        GroupedMatmul { a: a.into(), b, ends: rows.into().view(), map: Identity }
    }
}

impl<'a, T: Factor, F: Map<T::Sum>> GroupedMatmul<'a, T, F> {
    /// Applies a function to each element; in kernels, so it captures nothing.
    pub fn map<G: Map<T::Sum>>(self, map: G) -> GroupedMatmul<'a, T, G> {
        let GroupedMatmul { a, b, ends, map: _ } = self;
        GroupedMatmul { a, b, ends, map }
    }

    /// Launches the products on the device of C.
    ///
    /// # Errors
    /// Shapes that do not fit each other; views that reach beyond their buffers; a view of C that names an
    /// element twice; a function that captures values; arguments on several devices; the device's. Where the
    /// host reads them, ends that decrease or lie beyond the rows; a GPU's kernel cuts them off.
    pub fn run<'c, O: Output<T::Sum>>(self, c: impl Into<MatrixMut<'c, O>>) -> Result<(), Error> {
        let GroupedMatmul { a, b, ends, map } = self;
        let c = c.into();
        check((&a.view, a.batched), &b, ends, &c)?;
        let c = c.view;
        let ([_, rows, k], [groups, _, n]) = (a.view.shape(), b.shape());
        if groups * rows * n == 0 {
            return Ok(());
        }
        let (view, b, masked) = (normal(a.view), normal(b), a.batched);
        let mut grouped = Grouped { a: view, b, ends, masked, map: F::SOME, scales: None, c };
        if k > 0
            && let Some(launched) = T::grouped_by_matrix_units(&mut grouped, function(map))
        {
            return launched;
        }
        one_by_one(grouped, |Group { a, b, c, .. }| Matmul::<T, O>::new(a, b).map(map).run(c))
    }
}

/// That arguments fit each other; `a` with whether it has a matrix for each group.
pub(super) fn check<T: Stored, O: Num>(
    (a, batched): (&ViewArg<'_, T, 3>, bool),
    b: &ViewArg<'_, T, 3>,
    ends: BufferView<'_, u32>,
    c: &MatrixMut<'_, O>,
) -> Result<(), Error> {
    let wrong = |argument, found: String, rule: String| Err(Error::Shape { argument, found, rule });
    let ([matrices, rows, k], [groups, deep, n]) = (a.shape(), b.shape());
    if batched && matrices != groups {
        let rule = format!("it must have a matrix for each of `b`, {groups}");
        return wrong("a", format!("shape [{matrices}, {rows}, {k}]"), rule);
    }
    if deep != k {
        let rule = format!("it must have as many rows as `a` has columns, {k}");
        return wrong("b", format!("shape [{groups}, {deep}, {n}]"), rule);
    }
    if batched != c.batched || c.view.shape() != [matrices, rows, n] {
        let rule = format!("it must have the matrices and rows of `a` and {n} columns");
        return wrong("c", format!("shape {:?}", c.view.shape()), rule);
    }
    check_len("ends", ends.len(), "the matrices of `b`", Some(groups))?;
    a.check("a")?;
    b.check("b")?;
    c.view.check("c")?;
    Ok(())
}

/// One group's product.
pub(super) struct Group<'p, T: Stored, O: Num> {
    pub(super) number: usize,
    /// The matrix of A that its rows are in, and the first of them.
    pub(super) at: [usize; 2],
    pub(super) a: ViewArg<'p, T, 2>,
    pub(super) b: ViewArg<'p, T, 2>,
    pub(super) c: ViewMutArg<'p, O, 2>,
}

/// A product for each group that has rows.
pub(super) fn one_by_one<T: Stored, O: Num>(
    grouped: Grouped<'_, T, O>,
    product: impl Fn(Group<'_, T, O>) -> Result<(), Error>,
) -> Result<(), Error> {
    let Grouped { a, b, ends, masked, mut c, .. } = grouped;
    let ([_, rows, k], n) = (a.shape(), b.shape()[2]);
    let mut before = 0;
    for (group, end) in ends.to_vec()?.into_iter().enumerate() {
        let (matrix, begin, end) = match masked {
            true => (group, 0, end as usize),
            false => (0, before, end as usize),
        };
        if end < begin || end > rows {
            return Err(Error::Shape {
                argument: "ends",
                found: format!("{end} for group {group}"),
                rule: format!(
                    "it must be from {begin}, where the group begins, to {rows}, the rows"
                ),
            });
        }
        before = end;
        if begin == end {
            continue;
        }
        let m = end - begin;
        let (_, [apart, down, along]) = a.layout();
        let from = matrix * apart + begin * down;
        let rows_of_a = View::of(a.data().slice(from..)?, [m, k]).strides([down, along]);
        let (_, [apart, down, along]) = b.layout();
        let factor = View::of(b.data().slice(group * apart..)?, [k, n]).strides([down, along]);
        let (_, [apart, down, along]) = c.layout();
        let from = matrix * apart + begin * down;
        let to = View::of_mut(c.reborrow().into_data().slice(from..)?, [m, n]);
        let to = to.strides([down, along]);
        let at = [matrix, begin];
        product(Group { number: group, at, a: rows_of_a, b: factor, c: to })?;
    }
    Ok(())
}
