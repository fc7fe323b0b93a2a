//! What the copying warpgroup does: one thread of it.

use kernelsmith::prelude::*;

use super::config::{Plan, STAGES};
use super::work::{Lengths, Shape, Who};
use crate::attention::form::Form;

/// Tensors, and the stages that they are copied to.
#[derive(Clone, Copy)]
pub(super) struct Copies<T: Float> {
    pub(super) q_box: TensorTile<T, 5>,
    pub(super) k_box: TensorTile<T, 4>,
    pub(super) v_box: TensorTile<T, 4>,
    pub(super) q_tiles: Tiles<T>,
    pub(super) k_tiles: Tiles<T>,
    pub(super) v_tiles: Tiles<T>,
    pub(super) q_pipe: Pipeline<1>,
    pub(super) k_pipe: Pipeline<STAGES>,
    pub(super) v_pipe: Pipeline<STAGES>,
}

/// Copies the queries of each of the block's pieces of work, and its keys and values, tiles of `tile` keys, the
/// last ones first. With a `table`, keys are in `pages`.
#[device]
pub(super) fn copy<T: Float>(
    #[comptime] plan: Plan,
    #[comptime] form: Form,
    #[comptime] tile: usize,
    shape: Shape,
    #[comptime] of: Lengths,
    #[comptime] table: Option<ViewRef<u32, 2>>,
    pages: usize,
    #[comptime] c: Copies<T>,
) {
    let (mut q_at, mut k_at, mut v_at) = (c.q_pipe.start(), c.k_pipe.start(), c.v_pipe.start());
    for index in (block_idx_x()..shape.pieces(plan)).step_by(grid_dim_x()) {
        let work = shape.work(plan, form, tile, Who::Thread, index, of);
        if work.exists() {
            let filled = c.q_pipe.fill(&mut q_at, plan.warpgroups * c.q_tiles.bytes());
            let within =
                if plan.pack > 1 { 0 } else { work.head as usize - work.kv_head * shape.group };
            for part in unroll(0..plan.warpgroups) {
                let row = work.row() + part * plan.own_queries();
                let at = [work.own.outer, work.kv_head, row, within, 0];
                c.q_tiles.stage(part).load(c.q_box, at, filled.barrier());
            }
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
                let at = [outer, work.kv_head, row, 0];
                let slot = c.k_pipe.fill(&mut k_at, c.k_tiles.bytes());
                c.k_tiles.stage(slot.index()).load(c.k_box, at, slot.barrier());
                let slot = c.v_pipe.fill(&mut v_at, c.v_tiles.bytes());
                c.v_tiles.stage(slot.index()).load(c.v_box, at, slot.barrier());
            }
        }
    }
}
