//! Epilogues of products that were computed elsewhere: where C is not as the matmuls write it.

use kernelsmith::launch::{ViewArg, ViewMutArg};
use kernelsmith::prelude::*;

use super::builder::Identity;
use super::element::Factor;
use super::epilogue::{Epilogue, Pointwise, Steps, function};
use super::problem::Terms;
use super::products::Summed;
use crate::error::Error;

/// `C = map(alpha * P + beta * C + bias) + residual`, element by element, of each matrix of a batch, P times
/// the scales of rows and columns if there are any. Without a product, `P` is 0: that of matrices with no columns and rows.
#[kernel(block = 128)]
pub fn finish_product<P: Num, S: Num + Summed, O: Num>(
    alpha: S,
    beta: S,
    #[comptime] steps: Steps,
    map: impl Fn(S) -> S,
    product: Option<&View<P, 3>>,
    bias: Option<&View<S, 3>>,
    residual: Option<&View<O, 3>>,
    row_scales: Option<&View<S, 3>>,
    column_scales: Option<&View<S, 3>>,
    c: &mut View<O, 3>,
) {
    let column = global_idx_x();
    // Grids are not as tall and deep as matrices and batches may be.
    for batch in (block_idx_z()..c.shape(0)).step_by(grid_dim_z()) {
        let c = c.outer(batch);
        let product = product.map(|x| x.outer(batch));
        let epilogue = Epilogue::of_batch(batch, steps, (alpha, beta), bias, residual, map)
            .scaled_by(batch, [row_scales, column_scales]);
        for row in (block_idx_y()..c.shape(0)).step_by(grid_dim_y()) {
            if column < c.shape(1) {
                let sum = match product {
                    Some(product) => product[[row, column]].cast::<S>(),
                    None => Val::<S>::zero(),
                };
                let sum = epilogue.scaled(sum, row, column);
                let x = epilogue.begin(sum, || c[[row, column]]);
                c[[row, column]] = epilogue.end(x, row, column).cast::<O>();
            }
        }
    }
}

/// [`finish_product`] of a product that was summed in parts, `sums: batch x parts x m x n`, which are added
/// in their order, as what they are.
#[kernel(block = 128)]
pub fn finish_product_parts<P: Num, S: Num + Summed, O: Num>(
    alpha: S,
    beta: S,
    #[comptime] steps: Steps,
    map: impl Fn(S) -> S,
    sums: &View<P, 4>,
    bias: Option<&View<S, 3>>,
    residual: Option<&View<O, 3>>,
    row_scales: Option<&View<S, 3>>,
    column_scales: Option<&View<S, 3>>,
    c: &mut View<O, 3>,
) {
    let column = global_idx_x();
    for batch in (block_idx_z()..c.shape(0)).step_by(grid_dim_z()) {
        let (c, sums) = (c.outer(batch), sums.outer(batch));
        let epilogue = Epilogue::of_batch(batch, steps, (alpha, beta), bias, residual, map)
            .scaled_by(batch, [row_scales, column_scales]);
        for row in (block_idx_y()..c.shape(0)).step_by(grid_dim_y()) {
            if column < c.shape(1) {
                let mut sum = Val::<P>::zero();
                for part in 0..sums.shape(0) {
                    sum += sums[[part, row, column]];
                }
                let sum = epilogue.scaled(sum.cast::<S>(), row, column);
                let x = epilogue.begin(sum, || c[[row, column]]);
                c[[row, column]] = epilogue.end(x, row, column).cast::<O>();
            }
        }
    }
}

/// C of sums over parts of the depth, which `product` writes, one matrix behind the other for each of C:
/// those of each element are added in their order, so that C has the same bits each time.
pub(super) fn in_parts<P: Num, S: Num + Summed, O: Num, F>(
    parts: usize,
    terms: Terms<'_, S, O>,
    map: F,
    c: ViewMutArg<'_, O, 3>,
    product: impl FnOnce(ViewMutArg<'_, P, 3>) -> Result<(), Error>,
) -> Result<(), Error>
where
    F: Pointwise<S>,
{
    let [batch, m, n] = c.shape();
    // Rows that Hopper's copy engine can write: of a multiple of 16 bytes.
    let row = n.next_multiple_of(16 / size_of::<P>());
    let matrix = m * row;
    // SAFETY: every element that is read is written before.
    let mut sums = unsafe { Buffer::<P>::uninit(c.device(), batch * parts * matrix) }?;
    product(View::of_mut(&mut sums, [batch * parts, m, n]).strides([matrix, row, 1]))?;
    let strides = [parts * matrix, matrix, row, 1];
    let sums = View::of(&sums, [batch, parts, m, n]).strides(strides);
    finish_parts(terms, map, sums, c)
}

/// Launches [`finish_product_parts`].
fn finish_parts<P: Num, S: Num + Summed, O: Num, F>(
    terms: Terms<'_, S, O>,
    map: F,
    sums: ViewArg<'_, P, 4>,
    c: ViewMutArg<'_, O, 3>,
) -> Result<(), Error>
where
    F: Pointwise<S>,
{
    let device = c.device().clone();
    let [batch, m, n] = c.shape();
    let Terms { alpha, beta, steps, bias, residual, scales: [rows, columns] } = terms;
    finish_product_parts::<P, S, O, F>(
        alpha, beta, steps, map, sums, bias, residual, rows, columns, c,
    )
    .grid((n.div_ceil(128), m.min(TALL), batch.min(TALL)))
    .launch(&device)?;
    Ok(())
}

/// The most blocks along y and z on every GPU (CUDA C++ Programming Guide, technical specifications).
const TALL: usize = 65535;

/// Launches [`finish_product`].
pub(super) fn finish<P: Num, S: Num + Summed, O: Num, F>(
    terms: Terms<'_, S, O>,
    map: F,
    product: Option<ViewArg<'_, P, 3>>,
    c: ViewMutArg<'_, O, 3>,
) -> Result<(), Error>
where
    F: Pointwise<S>,
{
    let device = c.device().clone();
    let [batch, m, n] = c.shape();
    let Terms { alpha, beta, steps, bias, residual, scales: [rows, columns] } = terms;
    finish_product::<P, S, O, F>(
        alpha, beta, steps, map, product, bias, residual, rows, columns, c,
    )
    .grid((n.div_ceil(128), m.min(TALL), batch.min(TALL)))
    .launch(&device)?;
    Ok(())
}

/// A copy between views of one shape.
pub(super) fn copy<T: Factor>(
    from: ViewArg<'_, T, 3>,
    to: ViewMutArg<'_, T, 3>,
) -> Result<(), Error> {
    finish(Terms::<T::Sum, T>::default(), function(Identity), Some(from), to)
}
