//! The tokens of a pipeline: a stage that waits to be filled, one that is full, and one whose release
//! waits.

use std::cell::Cell;

use kernelsmith_ir::attr::Eviction;

use super::Release;
use super::due::Due;
use crate::lang::collectives::when;
use crate::lang::compare::lt;
use crate::lang::contract::assume;
use crate::lang::element::Stored;
use crate::lang::mbarrier::Mbarrier;
use crate::lang::place::Place;
use crate::lang::stage::fail;
use crate::lang::swizzled::Tile;
use crate::lang::tensor_map::TensorTile;
use crate::lang::val::Val;

/// A stage that waits to be filled. Copies that fill it are begun, then it is committed, once.
///
/// Not to commit it is an error of staging, and to use it afterwards does not compile.
#[must_use = "a stage that was acquired is filled and committed"]
pub struct EmptyStage {
    due: Due,
    index: Val<usize>,
    barrier: Mbarrier,
    /// Bytes of the copies that were begun by it.
    bytes: Cell<usize>,
    /// Whose commit counts, if several threads fill it.
    leads: Option<Val<bool>>,
}

impl EmptyStage {
    #[track_caller]
    pub(super) fn new(
        index: Val<usize>,
        barrier: Mbarrier,
        leads: Option<Val<bool>>,
    ) -> EmptyStage {
        let hint = "begin the copies that fill it, then `commit()`";
        let due = Due::new("a stage that is acquired here", "committed", hint);
        EmptyStage { due, index, barrier, bytes: Cell::new(0), leads }
    }

    /// The stage, below the pipeline's `N`.
    pub fn index(&self) -> Val<usize> {
        self.index
    }

    /// The barrier that counts the bytes that copies bring, for copies that are not begun by
    /// [`load`](EmptyStage::load): [`commit_bytes`](EmptyStage::commit_bytes) says how many they are.
    pub fn barrier(&self) -> Mbarrier {
        self.barrier
    }

    /// Fills a tile of the stage from a matrix, or one of several, from `at` on, as
    /// [`Tile::load`]; the tile's bytes are counted.
    #[track_caller]
    pub fn load<T: Stored, const R: usize>(
        &self,
        tile: Tile<T>,
        map: TensorTile<T, R>,
        at: [Val<usize>; R],
    ) {
        self.load_keeping(tile, map, at, Eviction::Normal);
    }

    /// [`load`](EmptyStage::load), and how long the L2 cache keeps what is read.
    #[track_caller]
    pub fn load_keeping<T: Stored, const R: usize>(
        &self,
        tile: Tile<T>,
        map: TensorTile<T, R>,
        at: [Val<usize>; R],
        eviction: Eviction,
    ) {
        self.due.same_way("filled");
        tile.load_keeping(map, at, self.barrier, eviction);
        let bytes = tile.rows() * tile.columns() * T::TYPE.size() as usize;
        self.bytes.set(self.bytes.get() + bytes);
    }

    /// Tells the barrier of the bytes that [`load`](EmptyStage::load) has asked for: the stage is full
    /// when they have come.
    #[track_caller]
    pub fn commit(self) {
        let bytes = self.bytes.get();
        if bytes == 0 {
            fail(
                "a stage is committed that nothing was loaded into: `load` fills it, or \
                  `commit_bytes` says what comes by other copies",
            );
        }
        self.commit_bytes(bytes);
    }

    /// [`commit`](EmptyStage::commit) of so many bytes: those of all copies that come to the stage's
    /// barrier, from other blocks of the cluster, too. 0 if the thread has filled the stage itself.
    #[track_caller]
    pub fn commit_bytes(self, bytes: usize) {
        let EmptyStage { due, barrier, leads, .. } = self;
        due.pay();
        match leads {
            Some(leads) => when(leads, || barrier.arrive_expect(bytes)),
            None => barrier.arrive_expect(bytes),
        }
    }
}

/// A stage that is full. It is read, then released, once.
///
/// To release it twice does not compile, and not to do so is an error of staging.
#[must_use = "a stage that was waited for is released"]
pub struct FullStage<const N: usize> {
    due: Due,
    index: Val<usize>,
    release: Release,
}

impl<const N: usize> FullStage<N> {
    #[track_caller]
    pub(super) fn new(index: Val<usize>, release: Release) -> FullStage<N> {
        let hint = "`release()` it, hand it to a `Held`, or `keep()` it if nobody fills it again";
        let due = Due::new("a stage that is waited for here", "released", hint);
        FullStage { due, index, release }
    }

    /// The stage, below `N`.
    pub fn index(&self) -> Val<usize> {
        self.index
    }

    /// Says that this consumer is done with the stage: one of the arrivals that empty it. What `wgmma`
    /// reads is done with after a wait for its group.
    ///
    /// Every thread that has the stage comes here; which of them are counted says
    /// [`Consumer::led_by`](super::Consumer::led_by).
    #[track_caller]
    pub fn release(self) {
        let FullStage { due, index, release } = self;
        due.pay();
        release.arrive(index);
    }

    /// Keeps the stage: nobody fills it again, or only who knows by other means that it may.
    #[track_caller]
    pub fn keep(self) {
        self.due.pay();
    }
}

/// A stage whose release waits, if there is one: while the next stage is being used, the one before
/// is not yet done with. It lives around a loop:
///
/// ```
/// # use kernelsmith::prelude::*;
/// # #[kernel(block = 128)]
/// # fn example(steps: usize) {
/// # let (producer, consumer) = pipeline::<2>(128).split();
/// let before = consumer.hold();
/// for _ in 0..steps {
///     let full = consumer.wait();
///     // Begin with `full.index()`; wait until the products of the stage before are done.
///     before.replace(full);
/// }
/// // Wait for the last products.
/// before.release();
/// # }
/// ```
#[must_use = "the stage that is held last is released"]
pub struct Held<const N: usize> {
    due: Due,
    /// `N` where there is none.
    index: Place<Val<usize>>,
    release: Release,
}

impl<const N: usize> Held<N> {
    #[track_caller]
    pub(super) fn new(release: Release) -> Held<N> {
        let hint = "`release()` what it holds last, behind the loop";
        let due = Due::new("what holds stages from here on", "released", hint);
        Held { due, index: Place::new("held", Val::from(N)), release }
    }

    /// Releases the stage that is held, if there is one, and holds this one.
    #[track_caller]
    pub fn replace(&self, stage: FullStage<N>) {
        stage.due.pay();
        self.release_held();
        self.index.set(stage.index);
    }

    /// Releases the stage that is held, if there is one.
    #[track_caller]
    pub fn release(self) {
        self.release_held();
        self.due.pay();
    }

    #[track_caller]
    fn release_held(&self) {
        let index = self.index.get();
        let some = lt(index, N);
        self.release.arrive_where(some, || {
            // SAFETY: this is where it is less.
            unsafe { assume(lt(index, N)) };
            index
        });
    }
}
