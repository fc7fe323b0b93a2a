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
