//! The kernel: one warp copies, one adds to dQ, two warpgroups multiply.

use kernelsmith::prelude::*;

use super::super::config::{FEW, MANY, STAGES, WIDE_KEYS, parts};
use super::super::copies::{Copies, copy};
use super::super::kernel::{number, own_warpgroup};
use super::super::partial;
use super::super::sums::{Added, GROUPS, Meeting, RELEASES, add, meet};
use super::super::weights::{Keys, Weights};
use super::super::work::{Shape, pass_of, passes};
use super::step::{HALF, QUERIES, Step, Sums};
use crate::attention::form::Form;
use crate::attention::hopper::config::{panel, swizzle};
use crate::attention::hopper::work::Who;

/// What [`attention_gradients`](super::super::attention_gradients) computes, from the same arguments and with the
/// same order of sums, for `D` columns of which each of the two warpgroups has `DQ`, half of them: of dK and
/// dV of a block's 64 keys, and of dQ of a tile of 64 queries. Scores and the gradients of weights are of half of
/// the queries for each warpgroup; what becomes of them both have from shared memory.
#[kernel(
    block = 384,
    requires = (m >= 1, n >= 1, lines >= 1, group >= 1, section >= 1),
)]
pub fn attention_gradients_wide<T: Float, const D: usize, const DQ: usize>(
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
    Wgmma<T, HALF>: WgmmaAtom<Input = T, Sum = f32>,
    Wgmma<T, DQ>: WgmmaAtom<Input = T, Sum = f32>,
{
    // Each warpgroup's columns are whole panels.
    let (across, along) = (swizzle(DQ, 2), swizzle(HALF, 2));
    let q_box = q.tile([1, QUERIES, panel(DQ, 2)], across);
    let o_box = d_out.tile([1, QUERIES, panel(DQ, 2)], across);
    let k_box = k.tile([1, WIDE_KEYS, panel(DQ, 2)], across);
    let v_box = v.tile([1, WIDE_KEYS, panel(DQ, 2)], across);
    let s_box = statistics.tile([QUERIES / 2, 4], Swizzle::None);
    let sums = [partial::rows(DQ) / parts(DQ), partial::WIDE];
    let dq_box = dq.tile(sums, Swizzle::B128);
    let dk_box = dk.tile([1, WIDE_KEYS, panel(DQ, 2)], across);
    let dv_box = dv.tile([1, WIDE_KEYS, panel(DQ, 2)], across);
    let k_tiles = tiles::<T>(1, [WIDE_KEYS, D], across);
    let v_tiles = tiles::<T>(1, [WIDE_KEYS, D], across);
    let q_tiles = tiles::<T>(STAGES, [QUERIES, D], across);
    let o_tiles = tiles::<T>(1, [QUERIES, D], across);
    let s_tiles = tiles::<f32>(STAGES, [QUERIES / 2, 4], Swizzle::None);
    let p_tiles = tiles::<T>(STAGES, [WIDE_KEYS, QUERIES], along);
    let ds_tiles = tiles::<T>(1, [WIDE_KEYS, QUERIES], along);
    let dq_tiles = tiles::<f32>(GROUPS, sums, Swizzle::B128);
    let (k_fill, k_use) = pipeline::<1>(RELEASES).split();
    let (q_fill, q_use) = pipeline::<STAGES>(RELEASES).split();
    let (o_fill, o_use) = pipeline::<1>(RELEASES).split();

    let shape = Shape { m, n, lines, group, window, section };
    let index = number(turns);
    if warpgroup_id() == 0 {
        lower_registers(FEW);
        if warp_id() == 0 {
            if elect() {
                let piece = shape.piece(form, QUERIES, WIDE_KEYS, Who::Thread, index);
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
                    outs: Some(o_fill),
                };
                copy(shape, piece, QUERIES, copies);
            }
        }
        if warp_id() == 1 {
            let piece = shape.piece(form, QUERIES, WIDE_KEYS, Who::Warps, index);
            let added = Added { rows: QUERIES, keys: WIDE_KEYS, parts: parts(DQ), tiles: dq_tiles };
            add(shape, piece, form, added, dq_box, turns);
        }
    } else {
        raise_registers(MANY);
        let own = own_warpgroup();
        let leads = thread_idx_x() % 128 == 0;
        let piece = shape.piece(form, QUERIES, WIDE_KEYS, Who::Warps, index);
        let keys = Keys::of::<T, HALF>(form, shape, piece.tile * WIDE_KEYS);
        let weights = Weights { form, scale, cap, keys };
        let step = Step {
            own,
            keys: k_tiles.stage(0usize),
            values: v_tiles.stage(0usize),
            q_tiles,
            outs: o_tiles.stage(0usize),
            s_tiles,
            p_tiles,
            ds: ds_tiles.stage(0usize),
            dq_tiles,
            queries: q_use.led_by(leads),
            of_outs: o_use.led_by(leads),
            weights,
        };
        let mut sums: Sums<T, DQ> = (InFlight::zero(), InFlight::zero());
        k_use.wait().keep();
        // In 32 bits, as registers are few here.
        for _ in 0..group as u32 {
            for pass in unroll(0..passes(form)) {
                let (from, to, masked) = pass_of(pass, piece);
                for tile in from..to {
                    sums = step.run::<D, DQ>(masked, tile * (QUERIES as u32), sums);
                }
            }
        }
        step.finish::<DQ>(
            sums,
            scale,
            leads,
            (dk_box, dv_box),
            [piece.line, piece.tile * WIDE_KEYS],
        );
        meet(Meeting::Empty, own);
    }
}
