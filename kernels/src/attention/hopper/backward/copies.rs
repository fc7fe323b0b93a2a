//! What the copying warp does: one thread of it.

use kernelsmith::prelude::*;

use super::config::{KEYS, STAGES};
use super::work::{Piece, Shape};

/// Tensors, and the stages that they are copied to.
pub(super) struct Copies<T: Float> {
    pub(super) q_box: TensorTile<T, 3>,
    pub(super) k_box: TensorTile<T, 3>,
    pub(super) v_box: TensorTile<T, 3>,
    pub(super) o_box: TensorTile<T, 3>,
    pub(super) s_box: TensorTile<f32, 2>,
    pub(super) q_tiles: Tiles<T>,
    pub(super) k_tiles: Tiles<T>,
    pub(super) v_tiles: Tiles<T>,
    pub(super) o_tiles: Tiles<T>,
    pub(super) s_tiles: Tiles<f32>,
    pub(super) keys: Producer<1>,
    pub(super) queries: Producer<STAGES>,
}

/// Copies a block's keys and values, then queries with their rows' numbers and gradients of outputs, tiles of
/// `rows`, of each head that has these keys.
#[device]
pub(super) fn copy<T: Float>(
    shape: Shape,
    piece: Piece,
    #[comptime] rows: usize,
    #[comptime] c: Copies<T>,
) {
    let stage = c.keys.acquire();
    for part in unroll(0..KEYS / 64) {
        let at = [piece.line, piece.tile * KEYS + part * 64, 0];
        stage.load(c.k_tiles.stage(part), c.k_box, at);
        stage.load(c.v_tiles.stage(part), c.v_box, at);
    }
    stage.commit();
    let tiles = shape.m.div_ceil(rows);
    for head in 0..shape.group {
        let line = piece.line * shape.group + head;
        for tile in piece.lo..piece.hi {
            let at = [line, tile * rows, 0];
            let stage = c.queries.acquire();
            stage.load(c.q_tiles.stage(stage.index()), c.q_box, at);
            let numbers = [(line * tiles + tile) * (rows / 2), 0];
            stage.load(c.s_tiles.stage(stage.index()), c.s_box, numbers);
            stage.load(c.o_tiles.stage(stage.index()), c.o_box, at);
            stage.commit();
        }
    }
}
