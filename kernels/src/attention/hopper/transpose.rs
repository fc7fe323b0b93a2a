//! Values of 8-bit floats: warps of the copying warpgroup transpose them for the products.

use kernelsmith::prelude::*;

use super::clear::{Threads, clear};
use super::config::{Plan, STAGES, swizzle};
use super::work::{Lengths, Shape, Who};
use crate::attention::element::AttentionElement;
use crate::attention::form::Form;

/// Warps that transpose: those of the copying warpgroup behind the first, whose one thread copies.
const WARPS: usize = 3;

/// Their threads.
const THREADS: u32 = 32 * WARPS as u32;

/// Their named barrier.
const BARRIER: u32 = 10;

/// What they are together.
const TOGETHER: Threads = Threads { first: 32, count: THREADS, barrier: BARRIER };

/// Stages that values come to, and those that they are transposed to.
pub(super) struct Transposes<T: Stored> {
    from: Tiles<T>,
    to: Tiles<T>,
    loaded: Consumer<STAGES>,
    turned: Producer<STAGES>,
}

/// Who releases a stage that values come to: those who multiply, or the leader of those who transpose.
pub(super) fn releases<T: Stored>(plan: Plan) -> u32 {
    if T::TYPE.size() == 1 { 1 } else { plan.releases() }
}

/// From the stages that values `[keys, columns]` come to, those that are multiplied: the same, or of 8-bit
/// floats such of their transposes, and who fills these.
pub(super) fn multiplied<T: Stored>(
    plan: Plan,
    [keys, columns]: [usize; 2],
    from: Tiles<T>,
    loaded: Consumer<STAGES>,
) -> (Option<Transposes<T>>, Tiles<T>, Consumer<STAGES>) {
    if T::TYPE.size() != 1 {
        return (None, from, loaded);
    }
    let to = tiles::<T>(STAGES, [columns, keys], swizzle(keys, 1));
    let (turned, used) = pipeline::<STAGES>(plan.releases()).split();
    (Some(Transposes { from, to, loaded, turned }), to, used)
}

/// Transposes the values of the block's pieces of work, in the order in which they are copied.
#[device]
pub(super) fn transpose<T: Stored + AttentionElement>(
    #[comptime] plan: Plan,
    #[comptime] form: Form,
    #[comptime] tile: usize,
    shape: Shape,
    #[comptime] of: Lengths,
    #[comptime] t: Transposes<T>,
) {
    let leads = thread_idx_x() == 32;
    let Transposes { from, to, loaded, turned } = t;
    let (loaded, turned) = (loaded.led_by(leads), turned.led_by(leads));
    let own = warp_id() - 1;
    for index in (block_idx_x()..shape.pieces(plan)).step_by(grid_dim_x()) {
        let work = shape.work(plan, form, tile, Who::Warps, index, of);
        if work.exists() {
            for number in (work.lo..work.hi).rev() {
                let values = loaded.wait();
                let (source, first) = (from.stage(values.index()), number * tile);
                if plan.ragged {
                    if first + tile > work.keys.len {
                        clear(source, work.keys.len - first, TOGETHER);
                    }
                }
                let columns = turned.acquire();
                let target = to.stage(columns.index());
                for group in (own..tile / 16).step_by(WARPS) {
                    source.transpose_bytes(target, group);
                }
                // What was written is for the products to read.
                async_fence();
                barrier_sync(BARRIER, THREADS);
                columns.commit_bytes(0);
                values.release();
            }
        }
    }
}
