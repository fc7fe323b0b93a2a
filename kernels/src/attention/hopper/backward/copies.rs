//! What the copying warp does: one thread of it.

use kernelsmith::prelude::*;

use super::config::STAGES;
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
    /// Of the one tile of gradients of outputs, where they do not come with the queries.
    pub(super) outs: Option<Producer<1>>,
}

/// Copies a block's keys and values, 64 in a tile, then queries with their rows' numbers and gradients of outputs,
/// tiles of `rows`, of each head that has these keys.
#[device]
pub(super) fn copy<T: Float>(
    shape: Shape,
    piece: Piece,
    #[comptime] rows: usize,
    #[comptime] c: Copies<T>,
) {
    let stage = c.keys.acquire();
    let parts = c.k_tiles.count();
    for part in unroll(0..parts) {
        let at = [piece.line, piece.tile * (64 * parts) + part * 64, 0];
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
            c.load_outs(stage, at);
        }
    }
}

impl<T: Float> Copies<T> {
    /// Fills the queries' stage up with gradients of outputs, or those' own stage behind it.
    fn load_outs(&self, stage: EmptyStage, at: [Val<usize>; 3]) {
        let Some(outs) = &self.outs else {
            stage.load(self.o_tiles.stage(stage.index()), self.o_box, at);
            return stage.commit();
        };
        stage.commit();
        let stage = outs.acquire();
        stage.load(self.o_tiles.stage(0usize), self.o_box, at);
        stage.commit();
    }
}
