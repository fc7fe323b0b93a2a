//! What the copying warpgroup does: one thread of it.

use kernelsmith::prelude::*;

use super::config::{Plan, STAGES};
use super::work::{Lengths, Shape, Who};
use crate::attention::form::Form;

/// Tensors, and the stages that they are copied to.
pub(super) struct Copies<T: Stored> {
    pub(super) q_box: TensorTile<T, 5>,
    pub(super) k_box: TensorTile<T, 4>,
    pub(super) q_tiles: Tiles<T>,
    pub(super) k_tiles: Tiles<T>,
    pub(super) queries: Producer<1>,
    pub(super) keys: Producer<STAGES>,
    /// None where the keys are values too, in one head for all.
    pub(super) values: Option<Values<T>>,
}

/// Values, and the stages that they are copied to.
pub(super) struct Values<T: Stored> {
    pub(super) v_box: TensorTile<T, 4>,
    pub(super) v_tiles: Tiles<T>,
    pub(super) fill: Producer<STAGES>,
}

/// Copies the queries of each of the block's pieces of work, and its keys and values, tiles of `tile` keys, the
/// last ones first. With a `table`, keys are in `pages`.
#[device]
pub(super) fn copy<T: Stored>(
    #[comptime] plan: Plan,
    #[comptime] form: Form,
    #[comptime] tile: usize,
    shape: Shape,
    #[comptime] of: Lengths,
    #[comptime] table: Option<ViewRef<u32, 2>>,
    pages: usize,
    #[comptime] c: Copies<T>,
) {
    for index in (block_idx_x()..shape.pieces(plan)).step_by(grid_dim_x()) {
        let work = shape.work(plan, form, tile, Who::Thread, index, of);
        if work.exists() {
            let stage = c.queries.acquire();
            let within =
                if plan.pack > 1 { 0 } else { work.head as usize - work.kv_head * shape.group };
            for part in unroll(0..plan.warpgroups) {
                let row = work.row() + part * plan.own_queries();
                let at = [work.own.outer, work.kv_head, row, within, 0];
                stage.load(c.q_tiles.stage(part), c.q_box, at);
            }
            stage.commit();
            for number in (work.lo..work.hi).rev() {
                let key = number * tile;
                let (outer, row) = if let Some(table) = table {
                    let page = table[[work.sequence as usize, key / of.k_rows]] as usize;
                    device_assert!(
                        page < pages,
                        "page {page} of the keys of a sequence is none of those there are"
                    );
                    (page, key % of.k_rows)
                } else {
                    (work.keys.outer, work.keys.first + key)
                };
                let head = if c.values.is_some() { work.kv_head } else { 0 };
                let at = [outer, head, row, 0];
                let stage = c.keys.acquire();
                stage.load(c.k_tiles.stage(stage.index()), c.k_box, at);
                stage.commit();
                if let Some(values) = &c.values {
                    let stage = values.fill.acquire();
                    stage.load(values.v_tiles.stage(stage.index()), values.v_box, at);
                    stage.commit();
                }
            }
        }
    }
}
