//! What a warpgroup that multiplies does with a tile of queries.

use kernelsmith::prelude::*;

use super::super::config::{STAGES, WIDE_KEYS, parts};
use super::super::partial;
use super::super::step::store_when;
use super::super::sums::{GROUPS, Meeting, meet, meet_all, pass};
use super::super::weights::{Statistics, Weights, gradients};

/// Queries of a tile, rows of dQ's products.
pub(super) const QUERIES: usize = 64;

/// Those of a warpgroup's scores.
pub(super) const HALF: usize = QUERIES / GROUPS;

/// A warpgroup's columns of dK and dV.
pub(super) type Sums<T, const DQ: usize> = (InFlight<Wgmma<T, DQ>>, InFlight<Wgmma<T, DQ>>);

/// What a warpgroup reads and writes.
pub(super) struct Step<T: Float> {
    pub(super) own: Val<usize>,
    pub(super) keys: Tile<T>,
    pub(super) values: Tile<T>,
    pub(super) q_tiles: Tiles<T>,
    pub(super) outs: Tile<T>,
    pub(super) s_tiles: Tiles<f32>,
    /// Weights by keys, a panel of them each warpgroup's.
    pub(super) p_tiles: Tiles<T>,
    /// dS, the same.
    pub(super) ds: Tile<T>,
    /// dQ, of each warpgroup a part of its columns.
    pub(super) dq_tiles: Tiles<f32>,
    pub(super) queries: Consumer<STAGES>,
    pub(super) of_outs: Consumer<1>,
    pub(super) weights: Weights,
}

impl<T: Float> Step<T> {
    /// Adds to dK and dV what the queries from `first` on give, and gives the storing warp their dQ.
    ///
    /// A warpgroup weighs half of the queries, and multiplies for half of the columns: both meet where all
    /// weights are written, and where all of dS is. Between lie dS's arithmetic and dV's products, which do not
    /// wait for one another. Weights have two buffers, as who comes to the second meeting may multiply by them
    /// still; who comes to the first has done with the dS before.
    pub(super) fn run<const D: usize, const DQ: usize>(
        &self,
        masked: bool,
        first: Val<u32>,
        (dk, dv): Sums<T, DQ>,
    ) -> Sums<T, DQ>
    where
        Wgmma<T, HALF>: WgmmaAtom<Input = T, Sum = f32>,
        Wgmma<T, DQ>: WgmmaAtom<Input = T, Sum = f32>,
    {
        let own = self.own;
        let stage = self.queries.wait();
        let queries = self.q_tiles.stage(stage.index());
        wgmma_fence();
        let scores = self.begin_scores::<D>(self.keys, queries);
        let outs = self.of_outs.wait();
        wgmma_fence();
        let of_weights = self.begin_scores::<D>(self.values, self.outs);
        let statistics = Statistics::part(self.s_tiles.stage(stage.index()), own, HALF);
        let scores = scores.wait_pending(1);
        let first = first + own.cast::<u32>() * (HALF as u32);
        let (weights, sloped) = self.weights.weigh(masked, false, first, scores, &statistics);
        let p = self.p_tiles.stage(stage.index());
        p.part(own, GROUPS).store_sums(weights, 0usize, 0, |_, _, x| x.cast::<T>());
        async_fence();
        meet_all();
        wgmma_fence();
        let dv = self.begin_sums(p, self.outs, dv);
        let ds = gradients(sloped, of_weights.wait_pending(1), &statistics);
        self.ds.part(own, GROUPS).store_sums(ds, 0usize, 0, |_, _, x| x.cast::<T>());
        async_fence();
        meet_all();
        wgmma_fence();
        let dq = self.begin_queries::<DQ>();
        wgmma_fence();
        let dk = self.begin_sums(self.ds, queries, dk);
        let dv = dv.wait_pending(2);
        outs.release();
        let dq = dq.wait_pending(1);
        for part in 0..parts(DQ) {
            meet(Meeting::Empty, own);
            partial::store(self.dq_tiles.stage(own), dq, part, parts(DQ));
            async_fence();
            pass(Meeting::Full, own);
        }
        let dk = dk.wait();
        stage.release();
        (dk.into(), dv.into())
    }

    /// Begins the product of 64 rows with this warpgroup's queries' rows.
    fn begin_scores<const D: usize>(
        &self,
        rows: Tile<T>,
        queries: Tile<T>,
    ) -> InFlight<Wgmma<T, HALF>>
    where
        Wgmma<T, HALF>: WgmmaAtom<Input = T, Sum = f32>,
    {
        let mut scores = InFlight::zero();
        for e in (0..D).step_by(16) {
            let of_queries = queries.k_major(self.own * HALF, e);
            scores = wgmma(rows.k_major(0usize, e), of_queries, scores, e > 0);
        }
        wgmma_commit();
        scores
    }

    /// Begins `sums` plus the product of keys' weights, or dS, with this warpgroup's columns of queries' rows.
    fn begin_sums<const DQ: usize>(
        &self,
        of_keys: Tile<T>,
        rows: Tile<T>,
        sums: InFlight<Wgmma<T, DQ>>,
    ) -> InFlight<Wgmma<T, DQ>>
    where
        Wgmma<T, DQ>: WgmmaAtom<Input = T, Sum = f32>,
    {
        let mut sums = sums;
        for query in (0..QUERIES).step_by(16) {
            let columns = rows.mn_major(self.own * DQ, query);
            sums = wgmma(of_keys.k_major(0usize, query), columns, sums, true);
        }
        wgmma_commit();
        sums
    }

    /// Begins this warpgroup's columns of `dS K`.
    fn begin_queries<const DQ: usize>(&self) -> InFlight<Wgmma<T, DQ>>
    where
        Wgmma<T, DQ>: WgmmaAtom<Input = T, Sum = f32>,
    {
        let mut sums = InFlight::zero();
        for key in (0..WIDE_KEYS).step_by(16) {
            let columns = self.keys.mn_major(self.own * DQ, key);
            sums = wgmma(self.ds.mn_major(0usize, key), columns, sums, key > 0);
        }
        wgmma_commit();
        sums
    }

    /// Stores this warpgroup's columns of dK and dV over those of K and V when all products are done, then by
    /// the copy engine, which leaves out what there is behind the last key and column.
    pub(super) fn finish<const DQ: usize>(
        &self,
        (dk, dv): Sums<T, DQ>,
        scale: Val<f32>,
        leads: Val<bool>,
        (dk_box, dv_box): (TensorTileMut<T, 3>, TensorTileMut<T, 3>),
        [line, key]: [Val<usize>; 2],
    ) where
        Wgmma<T, DQ>: WgmmaAtom<Input = T, Sum = f32>,
    {
        let (dk, dv) = (dk.wait(), dv.wait());
        let own = self.own;
        let (keys, values) = (self.keys.part(own, GROUPS), self.values.part(own, GROUPS));
        meet_all();
        values.store_sums(dv, 0usize, 0, |_, _, x| x.cast::<T>());
        keys.store_sums(dk, 0usize, 0, |_, _, x| (x * scale).cast::<T>());
        async_fence();
        meet(Meeting::Alone, own);
        store_when(leads, (keys, dk_box), (values, dv_box), [line, key, own * DQ]);
    }
}
