//! What a warpgroup that multiplies does with a tile of queries.

use kernelsmith::prelude::*;

use super::config::{KEYS, STAGES, early};
use super::partial;
use super::sums::{Meeting, Parts, meet, meet_all, pass};
use super::weights::{Statistics, Weights, gradients};
use crate::attention::hopper::forward::begin_scores;
use crate::attention::hopper::rows::Scores;

/// dK and dV of a warpgroup's 64 keys.
pub(super) type Sums<T, const D: usize> = (InFlight<Wgmma<T, D>>, InFlight<Wgmma<T, D>>);

/// Left factors, each 16 columns of the sums that they were. They are packed before the fence, else the assembler
/// packs between the products and has them wait for one another (C7519, C7520).
struct Factors<T: Float, const D: usize>(Vec<Fragment<Wgmma<T, D>, MatrixA>>)
where
    Wgmma<T, D>: WgmmaAtom;

impl<T: Float, const D: usize> Factors<T, D>
where
    Wgmma<T, D>: WgmmaAtom<Input = T, Sum = f32>,
{
    fn new<const M: usize>(sums: Scores<T, M>) -> Self
    where
        Wgmma<T, M>: WgmmaAtom<Input = T, Sum = f32>,
    {
        let sums = SumsAsFactor::<Wgmma<T, D>, Wgmma<T, M>>::new(sums);
        Factors((0..M).step_by(16).map(|first| sums.columns(first)).collect())
    }

    /// Begins `sums` plus the product with a tile that has a row for each column, after a fence.
    fn begin(&self, tile: Tile<T>, sums: InFlight<Wgmma<T, D>>) -> InFlight<Wgmma<T, D>> {
        let mut sums = sums;
        for (i, &factor) in self.0.iter().enumerate() {
            sums = wgmma(factor, tile.mn_major(0usize, 16 * i), sums, true);
        }
        wgmma_commit();
        sums
    }
}

/// What a warpgroup reads and writes.
pub(super) struct Step<T: Float> {
    pub(super) own: Val<usize>,
    pub(super) k_tiles: Tiles<T>,
    pub(super) v_tiles: Tiles<T>,
    pub(super) q_tiles: Tiles<T>,
    pub(super) o_tiles: Tiles<T>,
    pub(super) s_tiles: Tiles<f32>,
    /// dS by keys, for each stage of queries those of both warpgroups.
    pub(super) ds_tiles: Tiles<T>,
    /// dQ, of each warpgroup its part.
    pub(super) dq_tiles: Tiles<f32>,
    pub(super) parts: Parts,
    pub(super) queries: Consumer<STAGES>,
    pub(super) weights: Weights,
}

impl<T: Float> Step<T> {
    /// Adds to dK and dV what the queries from `first` on give, and gives the storing warp their dQ, of which
    /// this warpgroup computes `DQ` columns.
    ///
    /// `S' = K Q'` and `dP' = V dO'` have keys for rows, so `P'` and `dS'` are left factors of dV and dK
    /// without leaving their registers; for dQ both warpgroups' `dS'` goes through shared memory, which
    /// `wgmma` reads across.
    pub(super) fn run<const D: usize, const M: usize, const DQ: usize>(
        &self,
        masked: bool,
        first: Val<u32>,
        (dk, dv_before): Sums<T, D>,
    ) -> Sums<T, D>
    where
        Wgmma<T, D>: WgmmaAtom<Input = T, Sum = f32>,
        Wgmma<T, M>: WgmmaAtom<Input = T, Sum = f32>,
        Wgmma<T, DQ>: WgmmaAtom<Input = T, Sum = f32>,
    {
        let own = self.own;
        let stage = self.queries.wait();
        let queries = self.q_tiles.stage(stage.index());
        let outs = self.o_tiles.stage(stage.index());
        let statistics = Statistics::new(self.s_tiles.stage(stage.index()));
        wgmma_fence();
        let scores = begin_scores::<T, D, M>(self.k_tiles.stage(own), queries);
        wgmma_fence();
        let of_weights = begin_scores::<T, D, M>(self.v_tiles.stage(own), outs);
        let scores = scores.wait_pending(1);
        // With a cap, the weights themselves are not in what the gradients are multiplied by: they are a factor
        // then, and what is instead is pairs.
        let (weights, sloped) = self.weights.weigh(masked, !early(D), first, scores, &statistics);
        let pack = || Factors::<T, D>::new(weights);
        let begin = |factors: Factors<T, D>| {
            wgmma_fence();
            factors.begin(outs, dv_before)
        };
        let (dv, ds, factors);
        if early(D) {
            dv = begin(pack());
            ds = gradients(sloped, of_weights.wait_pending(1), &statistics);
            factors = Factors::<T, D>::new(ds);
        } else {
            let packed = self.weights.form.capped.then(pack);
            ds = gradients(sloped, of_weights.wait(), &statistics);
            factors = Factors::<T, D>::new(ds);
            dv = begin(packed.unwrap_or_else(pack));
        }
        // Two of them: who comes to the next barrier has done with what it read behind this one.
        let buffer = stage.index() * 2usize;
        self.ds_tiles.stage(buffer + own).store_sums(ds, 0usize, 0, |_, _, x| x.cast::<T>());
        async_fence();
        meet_all();
        wgmma_fence();
        let dq = self.begin_queries::<M, DQ>(buffer);
        wgmma_fence();
        let dk = factors.begin(queries, dk);
        let dq = dq.wait_pending(1);
        meet(Meeting::Empty, own);
        partial::store(self.dq_tiles.stage(own), dq, 0, 1);
        async_fence();
        pass(Meeting::Full, own);
        let dk = dk.wait();
        stage.release();
        (dk.into(), dv)
    }

    /// Begins this warpgroup's part of `dS K`, from the `dS'` in a buffer.
    fn begin_queries<const M: usize, const DQ: usize>(
        &self,
        buffer: Val<usize>,
    ) -> InFlight<Wgmma<T, DQ>>
    where
        Wgmma<T, DQ>: WgmmaAtom<Input = T, Sum = f32>,
    {
        let Parts { down, across } = self.parts;
        let mut sums = InFlight::zero();
        for key in (0..KEYS).step_by(16) {
            let ds = self.ds_tiles.stage(buffer + key / 64);
            let keys = self.k_tiles.stage(key / 64);
            let ds = match down {
                0 => ds.mn_major(0usize, key % 64),
                _ => ds.mn_major(self.own * down, key % 64),
            };
            let keys = match across {
                0 => keys.mn_major(0usize, key % 64),
                _ => keys.mn_major(self.own * across, key % 64),
            };
            sums = wgmma(ds, keys, sums, key > 0);
        }
        wgmma_commit();
        sums
    }

    /// Stores dK and dV when all products are done: over K and V in shared memory, of which V's rows are this
    /// warpgroup's alone, then by the copy engine, which leaves out what there is behind the last key.
    pub(super) fn finish<const D: usize>(
        &self,
        (dk, dv): Sums<T, D>,
        scale: Val<f32>,
        leads: Val<bool>,
        (dk_box, dv_box): (TensorTileMut<T, 3>, TensorTileMut<T, 3>),
        [line, key]: [Val<usize>; 2],
    ) where
        Wgmma<T, D>: WgmmaAtom<Input = T, Sum = f32>,
    {
        let (dk, dv) = (dk.wait(), dv.wait());
        let own = self.own;
        let (keys, values) = (self.k_tiles.stage(own), self.v_tiles.stage(own));
        values.store_sums(dv, 0usize, 0, |_, _, x| x.cast::<T>());
        meet_all();
        keys.store_sums(dk, 0usize, 0, |_, _, x| (x * scale).cast::<T>());
        async_fence();
        meet(Meeting::Alone, own);
        let at = [line, key + own * 64usize, Val::<usize>::from(0)];
        store_when(leads, (keys, dk_box), (values, dv_box), at);
    }
}

#[device]
pub(super) fn store_when<T: Float>(
    leads: bool,
    #[comptime] (keys, dk): (Tile<T>, TensorTileMut<T, 3>),
    #[comptime] (values, dv): (Tile<T>, TensorTileMut<T, 3>),
    #[comptime] at: [Val<usize>; 3],
) {
    if leads {
        keys.store(dk, at);
        values.store(dv, at);
        bulk_commit();
        bulk_wait(0);
    }
}
