//! What the copying warpgroup does: one thread of it.

use kernelsmith::prelude::*;

use super::config::{Plan, STAGES};
use super::work::{Lengths, Shape, Who, Work};
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

/// Outer index and first row of what each copy of a tile brings. A tensor map's indices have 31 bits, and the warp
/// that copies few registers.
type Places = Vec<(Val<u32>, Val<u32>)>;

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
                let copied = plan.copied(tile);
                let places = match table {
                    Some(table) => in_pages(plan, tile, work, of, table, pages, key),
                    None => vec![(work.keys.outer as u32, (work.keys.first + key) as u32)],
                };
                let head = if c.values.is_some() { work.kv_head } else { 0 };
                let stage = c.keys.acquire();
                let keys = c.k_tiles.stage(stage.index());
                for (part, &(outer, row)) in places.iter().enumerate() {
                    let band = keys.band(part * copied, copied);
                    stage.load(band, c.k_box, [outer as usize, head, row as usize, 0]);
                }
                stage.commit();
                if let Some(values) = &c.values {
                    let stage = values.fill.acquire();
                    let to = values.v_tiles.stage(stage.index());
                    for (part, &(outer, row)) in places.iter().enumerate() {
                        let band = to.band(part * copied, copied);
                        let at = [outer as usize, work.kv_head, row as usize, 0];
                        stage.load(band, values.v_box, at);
                    }
                    stage.commit();
                }
            }
        }
    }
}

/// Where the keys from `key` on lie, a tile of them, those that a copy brings each: what they are in, and their
/// first row. All pages are asked for before any is looked at. Behind the last key of the sequence come others of
/// its last page, which nobody sees.
#[device]
fn in_pages(
    #[comptime] plan: Plan,
    #[comptime] tile: usize,
    work: Work,
    #[comptime] of: Lengths,
    #[comptime] table: ViewRef<u32, 2>,
    pages: usize,
    key: usize,
) -> Places {
    let rows = of.k_rows as u32;
    let last = (work.keys.len as u32 - 1) / rows;
    let (mut number, mut row) = (key as u32 / rows, key as u32 % rows);
    #[comptime]
    let mut places = Vec::new();
    for _ in unroll(0..tile / plan.copied(tile)) {
        let page = table[[work.sequence as usize, number.min(last) as usize]];
        places.push((page, row));
        row += plan.copied(tile) as u32;
        if row == rows {
            number += 1;
            row = 0;
        }
    }
    for &(page, _) in &places {
        device_assert!(
            (page as usize) < pages,
            "page {page} of the keys of a sequence is none of those there are"
        );
    }
    places
}
