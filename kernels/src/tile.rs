//! Moving tiles between global and shared memory.

use kernelsmith::prelude::*;

/// Copies a `rows x columns` tile of a row-major matrix, as f32, into shared memory, with zeros
/// beyond the matrix's `extent`. `origin` is the tile's first row and column. All threads of the
/// block take part: x along columns, so that a warp reads consecutive addresses.
///
/// The caller puts a barrier between this and the tile's readers.
#[device]
pub fn stage<T: Float>(
    tile: Shared<f32>,
    #[comptime] rows: usize,
    #[comptime] columns: usize,
    src: &[T],
    origin: (usize, usize),
    extent: (usize, usize),
) {
    for r in (thread_idx_y()..rows).step_by(block_dim_y()) {
        for c in (thread_idx_x()..columns).step_by(block_dim_x()) {
            let (row, column) = (origin.0 + r, origin.1 + c);
            let inside = row < extent.0 && column < extent.1;
            tile[r * columns + c] =
                if inside { src[row * extent.1 + column].to_f32() } else { 0.0 };
        }
    }
}

/// Copies a `rows x columns` tile of a matrix into shared memory, row-major, with zeros beyond the
/// matrix's extent. `origin` is the tile's first row and column. All threads of the block take part. With
/// `down`, a warp runs along a column, else along a row: whichever is contiguous in memory.
///
/// The caller puts a barrier between this and the tile's readers.
#[device]
pub fn stage_view<T: Num, S: Num>(
    tile: Shared<S>,
    #[comptime] rows: usize,
    #[comptime] columns: usize,
    src: &View<T, 2>,
    origin: (usize, usize),
    #[comptime] down: bool,
) {
    let (outer, inner) = if down { (columns, rows) } else { (rows, columns) };
    for o in (thread_idx_y()..outer).step_by(block_dim_y()) {
        for i in (thread_idx_x()..inner).step_by(block_dim_x()) {
            let (r, c) = if down { (i, o) } else { (o, i) };
            let (row, column) = (origin.0 + r, origin.1 + c);
            let inside = row < src.shape(0) && column < src.shape(1);
            tile[r * columns + c] =
                if inside { src[[row, column]].cast::<S>() } else { Val::<S>::zero() };
        }
    }
}
