//! The backward pass of attention (Shah et al., "FlashAttention-3", 2024, section 3 and appendix B.3): one
//! warp copies, one adds to dQ, two warpgroups multiply.

use kernelsmith::prelude::*;

use super::config::{FEW, KEYS, MANY, STAGES};
use super::copies::{Copies, copy};
use super::partial;
use super::step::{Step, Sums};
use super::sums::{Added, GROUPS, Meeting, Parts, RELEASES, add, meet};
use super::weights::{Keys, Weights};
use super::work::{Shape, pass_of, passes};
use crate::attention::form::Form;
use crate::attention::hopper::config::{panel, swizzle};
use crate::attention::hopper::work::Who;

/// The gradients of attention, see [`attention_backward`](crate::attention::attention_backward) for the
/// mathematics. `q: heads x m x d` of all sequences, `k, dk: lines x n x d`, where head `h` has the keys of
/// line `h / group`, `d_out, v, dv` as these, of the same columns or others; `statistics` is what
/// [`attention_statistics`](super::attention_statistics) makes. dQ is added, not yet scaled, to the f32 sums
/// `dq`, which begin at zero and lie as [`ordered_sums`](super::ordered_sums) reads them, 32 to a row.
///
/// A block owns [`KEYS`] keys, 64 for each warpgroup, and takes all tiles of `M` queries that see them, of each
/// head that has them; so dK and dV stay in registers, `D` columns of each. Of a tile's dQ each warpgroup
/// computes `DQ` columns of 64 queries: with `DQ == D` half of the queries, else half of the columns.
///
/// With `turns`, zeros, one more than there are tiles of queries, sums are the same bits every time, see the
/// storing warp. Without, in whichever order blocks come.
#[kernel(
    block = 384,
    requires = (m >= 1, n >= 1, lines >= 1, group >= 1, section >= 1),
)]
pub fn attention_gradients<T: Float, const D: usize, const M: usize, const DQ: usize>(
    m: usize,
    n: usize,
    lines: usize,
    group: usize,
    window: usize,
    section: usize,
    scale: f32,
    cap: f32,
    #[comptime] form: Form,
    q: &TensorMap<T, 3>,
    k: &TensorMap<T, 3>,
    v: &TensorMap<T, 3>,
    d_out: &TensorMap<T, 3>,
    statistics: &TensorMap<f32, 2>,
    turns: Option<&mut [u32]>,
    dq: &mut TensorMap<f32, 2>,
    dk: &mut TensorMap<T, 3>,
    dv: &mut TensorMap<T, 3>,
) where
    Wgmma<T, D>: WgmmaAtom<Input = T, Sum = f32>,
    Wgmma<T, M>: WgmmaAtom<Input = T, Sum = f32>,
    Wgmma<T, DQ>: WgmmaAtom<Input = T, Sum = f32>,
{
    // Each warpgroup's columns of K are whole panels.
    let (wide, narrow) = (swizzle(D, 2), swizzle(DQ, 2));
    let q_box = q.tile([1, M, panel(D, 2)], wide);
    let o_box = d_out.tile([1, M, panel(D, 2)], wide);
    let k_box = k.tile([1, 64, panel(DQ, 2)], narrow);
    let v_box = v.tile([1, 64, panel(D, 2)], wide);
    let s_box = statistics.tile([M / 2, 4], Swizzle::None);
    let sums = [partial::rows(DQ), partial::WIDE];
    let dq_box = dq.tile(sums, Swizzle::B128);
    let dk_box = dk.tile([1, 64, panel(DQ, 2)], narrow);
    let dv_box = dv.tile([1, 64, panel(D, 2)], wide);
    let k_tiles = tiles::<T>(GROUPS, [64, D], narrow);
    let v_tiles = tiles::<T>(GROUPS, [64, D], wide);
    let q_tiles = tiles::<T>(STAGES, [M, D], wide);
    let o_tiles = tiles::<T>(STAGES, [M, D], wide);
    let s_tiles = tiles::<f32>(STAGES, [M / 2, 4], Swizzle::None);
    let ds_tiles = tiles::<T>(STAGES * GROUPS, [64, M], Swizzle::B128);
    let dq_tiles = tiles::<f32>(GROUPS, sums, Swizzle::B128);
    let (k_fill, k_use) = pipeline::<1>(RELEASES).split();
    let (q_fill, q_use) = pipeline::<STAGES>(RELEASES).split();

    let shape = Shape { m, n, lines, group, window, section };
    let parts = Parts { down: if DQ == D { 64 } else { 0 }, across: if DQ == D { 0 } else { DQ } };
    let index = number(turns);
    if warpgroup_id() == 0 {
        lower_registers(FEW);
        if warp_id() == 0 {
            if elect() {
                let piece = shape.piece(form, M, KEYS, Who::Thread, index);
                let copies = Copies {
                    q_box,
                    k_box,
                    v_box,
                    o_box,
                    s_box,
                    q_tiles,
                    k_tiles,
                    v_tiles,
                    o_tiles,
                    s_tiles,
                    keys: k_fill,
                    queries: q_fill,
                    outs: None,
                };
                copy(shape, piece, M, copies);
            }
        }
        if warp_id() == 1 {
            let piece = shape.piece(form, M, KEYS, Who::Warps, index);
            let added = Added { rows: M, keys: KEYS, parts: 1, tiles: dq_tiles };
            add(shape, piece, form, added, dq_box, turns);
        }
    } else {
        raise_registers(MANY);
        let own = own_warpgroup();
        let leads = thread_idx_x() % 128 == 0;
        let piece = shape.piece(form, M, KEYS, Who::Warps, index);
        let keys = Keys::of::<T, M>(form, shape, piece.tile * KEYS + own * 64);
        let weights = Weights { form, scale, cap, keys };
        let step = Step {
            own,
            k_tiles,
            v_tiles,
            q_tiles,
            o_tiles,
            s_tiles,
            ds_tiles,
            dq_tiles,
            parts,
            queries: q_use.led_by(leads),
            weights,
        };
        let mut sums: Sums<T, D> = (InFlight::zero(), InFlight::zero());
        k_use.wait().keep();
        // In 32 bits, as registers are few here.
        for _ in 0..group as u32 {
            for pass in unroll(0..passes(form)) {
                let (from, to, masked) = pass_of(pass, piece);
                for tile in from..to {
                    sums = step.run::<D, M, DQ>(masked, tile * (M as u32), sums);
                }
            }
        }
        step.finish::<D>(sums, scale, leads, (dk_box, dv_box), [piece.line, piece.tile * KEYS]);
        meet(Meeting::Empty, own);
    }
}

/// The number of the block's piece of work: with turns a ticket, as who waits for others must know that they
/// have begun, which nothing says of blocks with smaller indices.
#[device]
pub(super) fn number(#[comptime] turns: Option<SliceMut<u32>>) -> u32 {
    if let Some(turns) = turns {
        let mut ticket = 0;
        if thread_idx_x() == 0 {
            ticket = turns.atomic(0).fetch_add(1, Ordering::Relaxed, Scope::Device);
        }
        block_broadcast(ticket)
    } else {
        block_idx_x() as u32
    }
}

/// Which of the warpgroups that multiply this is.
#[device]
pub(super) fn own_warpgroup() -> usize {
    let own = warpgroup_id() - 1;
    // SAFETY: the block has one warpgroup more, number 0, which does not come here.
    unsafe { assume(own < GROUPS) };
    own
}
