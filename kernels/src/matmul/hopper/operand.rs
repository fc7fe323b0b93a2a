//! A factor on its way from global memory to the tensor cores.

use kernelsmith::prelude::*;

/// Which axis of a factor's memory is contiguous.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Order {
    /// Along k: A is stored as `m x k`, B as `n x k`.
    AlongK,
    /// Along m or n: A is stored as `k x m`, B as `k x n`. Elements have 16 bits.
    AcrossK,
}

impl Order {
    /// Whether k is the contiguous axis.
    pub fn is_along_k(self) -> bool {
        self == Order::AlongK
    }
}

/// Elements along k of a stage: 128 bytes of them.
pub(super) const fn step<T>() -> usize {
    128 / size_of::<T>()
}

/// A factor, `rows` by 128 bytes along k of which make a stage of a pipeline.
#[derive(Clone, Copy)]
pub(super) struct Operand<T: Stored> {
    map: TensorMap<T, 3>,
    piece: TensorTile<T, 3>,
    tiles: Tiles<T>,
    order: Order,
    rows: usize,
    /// Blocks of the cluster that each load a part and give it to all.
    sharers: usize,
}

impl<T: Stored> Operand<T> {
    /// `stages` stages of `rows` rows, of which each of `sharers` blocks of a cluster loads a part.
    #[track_caller]
    pub(super) fn new(
        map: TensorMap<T, 3>,
        order: Order,
        (rows, stages, sharers): (usize, usize, usize),
    ) -> Self {
        let depth = step::<T>();
        // Both axes of a panel are as many elements as 128 bytes hold.
        let (piece, tile) = match order {
            Order::AlongK => ([1, rows / sharers, depth], [rows, depth]),
            Order::AcrossK => ([1, depth, depth], [depth, rows]),
        };
        let piece = map.tile(piece, Swizzle::B128);
        Operand { map, piece, tiles: tiles(stages, tile, Swizzle::B128), order, rows, sharers }
    }

    /// Elements along k.
    pub(super) fn depth(&self) -> Val<usize> {
        self.map.shape(if self.order.is_along_k() { 2 } else { 1 })
    }

    /// Bytes of a stage.
    fn bytes(&self) -> usize {
        self.tiles.bytes()
    }

    /// Begins to load a stage of matrix `batch` from a row and an index along k on; `rank` is the block's in
    /// its cluster. Shared stages arrive in all blocks of it.
    #[track_caller]
    fn load(&self, slot: &EmptyStage, [batch, row, k]: [Val<usize>; 3], rank: Val<usize>) {
        let stage = self.tiles.stage(slot.index());
        let at = |row| if self.order.is_along_k() { [batch, row, k] } else { [batch, k, row] };
        if self.sharers == 1 {
            return stage.load(self.piece, at(row), slot.barrier());
        }
        let own = at(row + rank * (self.rows / self.sharers));
        let all = Val::<u32>::from((1 << self.sharers) - 1);
        stage.part(rank, self.sharers).load_multicast(self.piece, own, slot.barrier(), all);
    }

    /// The factor that `wgmma` takes of a stage: rows from `row` on, 32 bytes along k from `k` on.
    #[track_caller]
    pub(super) fn factor(&self, stage: Val<usize>, row: Val<usize>, k: usize) -> Factor<T> {
        let tile = self.tiles.stage(stage);
        if self.order.is_along_k() { tile.k_major(row, k) } else { tile.mn_major(row, k) }
    }
}

/// Fills the next stage with step `k` of each factor, from a matrix and a row of it on; `rank` is the block's in
/// its cluster.
#[track_caller]
pub(super) fn fill<T: Stored, const N: usize>(
    producer: &Producer<N>,
    factors: &[(Operand<T>, [Val<usize>; 2])],
    k: Val<usize>,
    rank: Val<usize>,
) {
    let stage = producer.acquire();
    let k = k * step::<T>();
    for (factor, [batch, row]) in factors {
        factor.load(&stage, [*batch, *row, k], rank);
    }
    stage.commit_bytes(factors.iter().map(|(factor, _)| factor.bytes()).sum());
}

/// A consumer of stages that each block of the cluster fills a part of: all blocks hear of its releases, each
/// by another thread.
#[track_caller]
pub(super) fn of_cluster<const N: usize>(
    consumer: Consumer<N>,
    thread: Val<usize>,
    cluster: usize,
) -> Consumer<N> {
    if cluster > 1 { consumer.of_block(thread) } else { consumer }
}
