//! Products with scales on devices that have no kernel of their own for them.

use kernelsmith::launch::ViewArg;
use kernelsmith::prelude::*;

use super::{BLOCK, Scaled};
use crate::error::Error;
use crate::matmul::builder::{Map, Matmul};
use crate::matmul::element::Output;
use crate::matmul::epilogue::function;
use crate::matmul::finish;

/// The product of the factors as f32, each times its scales.
pub(super) fn by_f32<T: Stored, O: Output<f32>, F: Map<f32>>(
    scaled: Scaled<'_, T, O>,
    map: F,
) -> Result<(), Error> {
    let Scaled { a, b, a_scales, b_scales, blocks, bias, tuned, c, .. } = scaled;
    let ([_, m, k], n) = (a.shape(), b.shape()[2]);
    // In blocks, elements that have a scale in common; else a row or column has one.
    let a = unscaled(a, a_scales, if blocks { [1, BLOCK] } else { [1, k.max(1)] })?;
    let b = unscaled(b, b_scales, if blocks { [BLOCK, BLOCK] } else { [k.max(1), 1] })?;
    let product = Matmul::<f32, O>::new(View::of(&a, [1, m, k]), View::of(&b, [1, k, n])).map(map);
    let product = if tuned { product.tuned() } else { product };
    match bias {
        Some(bias) => product.bias(bias.data()).run(c),
        None => product.run(c),
    }
}

/// The product summed in i32, and its scales after that.
pub(super) fn by_i32<O: Output<f32>, F: Map<f32>>(
    scaled: Scaled<'_, i8, O>,
    map: F,
) -> Result<(), Error> {
    let terms = scaled.terms();
    let Scaled { a, b, c, tuned, .. } = scaled;
    let shape @ [_, m, n] = c.shape();
    // SAFETY: the product writes every element.
    let mut sums = unsafe { Buffer::<i32>::uninit(c.device(), m * n) }?;
    let product = Matmul::<i8, i32>::new(a, b);
    let product = if tuned { product.tuned() } else { product };
    product.run(View::of_mut(&mut sums, shape))?;
    finish::finish(terms, function(map), Some(View::of(&sums, shape)), c)
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
