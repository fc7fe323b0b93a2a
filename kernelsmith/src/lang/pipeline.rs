//! Pipelines: a ring of stages in shared memory that copies fill and warps use.
//!
//! Each stage has two barriers. *Full* ends a phase when a producer has come and the bytes it told
//! of are there; *empty* when every consumer has come to say that it is done. Who goes through the
//! stages keeps a [`Cursor`]: the stage it is at, and the parity of the phase that it waits for.
//!
//! ```
//! use kernelsmith::prelude::*;
//!
//! /// Sums of the rows of `x`, which one thread loads for the 128 others.
//! #[kernel(block = 256)]
//! fn sums(x: &TensorMap<f32, 2>, y: &mut [f32]) {
//!     let piece = x.tile([8, 32], Swizzle::B128);
//!     let rows = tiles::<f32>(4, [8, 32], Swizzle::B128);
//!     let pipe = pipeline::<4>(128);
//!     let mut at = pipe.start();
//!     if warpgroup_id() == 0 {
//!         if warp_id() == 0 {
//!             if elect() {
//!                 for column in (0..x.shape(1)).step_by(32) {
//!                     let slot = pipe.fill(&mut at, rows.bytes());
//!                     rows.stage(slot.index()).load(piece, [0, column], slot.barrier());
//!                 }
//!             }
//!         }
//!     } else {
//!         let row = thread_idx_x() % 128;
//!         let mut sum = 0.0f32;
//!         for column in (0..x.shape(1)).step_by(32) {
//!             let tile = rows.stage(pipe.wait(at));
//!             if row < 8 {
//!                 for i in 0..32 {
//!                     sum += tile.at(row, i).get();
//!                 }
//!             }
//!             pipe.release(at);
//!             at.advance();
//!         }
//!         if row < 8 {
//!             y[row] = sum;
//!         }
//!     }
//! }
//! ```

use kernelsmith_ir::{Type, Value};

use super::cluster::cluster_sync;
use super::collectives::{thread_rank, when};
use super::compare::{eq, lt};
use super::contract::assume;
use super::mbarrier::{Mbarrier, Mbarriers, mbarrier_fence, mbarriers};
use super::place::Place;
use super::stage::build;
use super::staged::{Staged, next};
use super::thread::barrier;
use super::val::Val;

/// The barriers of a ring of `N` stages.
#[derive(Clone, Copy)]
pub struct Pipeline<const N: usize> {
    full: Mbarriers,
    empty: Mbarriers,
}

/// Makes the barriers of a ring of `N` stages, each of which `releases` arrivals empty. All threads
/// of the block come here together (those of the cluster, in kernels that fix one).
#[track_caller]
pub fn pipeline<const N: usize>(releases: u32) -> Pipeline<N> {
    let pipe = Pipeline { full: mbarriers(N), empty: mbarriers(N) };
    when(eq(thread_rank(), 0usize), || {
        pipe.full.init(1);
        pipe.empty.init(releases);
        mbarrier_fence();
    });
    match build(|b| b.kernel().cluster_dim) {
        Some(_) => cluster_sync(),
        None => barrier(),
    }
    pipe
}

/// Where somebody is in a ring of `N` stages.
#[derive(Clone, Copy)]
pub struct Cursor<const N: usize> {
    index: Val<usize>,
    parity: Val<u32>,
}

impl<const N: usize> Staged for Cursor<N> {
    const LEAVES: usize = 2;
    type Fields = ();

    fn types(out: &mut Vec<Type>) {
        out.extend([Type::U64, Type::U32]);
    }
    fn flatten(&self, out: &mut Vec<Value>) {
        out.extend([self.index.id, self.parity.id]);
    }
    fn unflatten(leaves: &mut impl Iterator<Item = Value>) -> Self {
        Cursor { index: Val::from_id(next(leaves)), parity: Val::from_id(next(leaves)) }
    }
    fn fields(_: Place<Self>) {}
}

impl<const N: usize> Cursor<N> {
    /// The stage, below `N`.
    #[track_caller]
    pub fn index(&self) -> Val<usize> {
        // SAFETY: it begins at 0, and `advance` goes back there from N - 1.
        unsafe { assume(lt(self.index, N)) };
        self.index
    }

    /// Goes on to the next stage, behind the last to the first one, of the next phase.
    #[track_caller]
    pub fn advance(&mut self) {
        let next = self.index() + 1usize;
        let wraps = eq(next, N);
        let (zero, one) = (Val::<usize>::from(0), Val::<u32>::from(1));
        let flipped = self.parity ^ one;
        self.index = Val::from_id(build(|b| b.select(wraps.id, zero.id, next.id)));
        self.parity = Val::from_id(build(|b| b.select(wraps.id, flipped.id, self.parity.id)));
    }
}

/// A stage that waits to be filled.
#[derive(Clone, Copy)]
#[must_use = "copies that fill the stage tell its barrier"]
pub struct Slot {
    index: Val<usize>,
    barrier: Mbarrier,
}

impl Slot {
    /// The stage.
    pub fn index(&self) -> Val<usize> {
        self.index
    }

    /// The barrier that counts the bytes that copies bring.
    pub fn barrier(&self) -> Mbarrier {
        self.barrier
    }
}

impl<const N: usize> Pipeline<N> {
    /// The first stage.
    #[track_caller]
    pub fn start(&self) -> Cursor<N> {
        Cursor { index: 0usize.into(), parity: 0u32.into() }
    }

    /// Waits until the stage is empty, tells its barrier of `bytes` that copies will bring, and goes
    /// on to the next. One thread does this, and begins the copies.
    #[track_caller]
    pub fn fill(&self, at: &mut Cursor<N>, bytes: usize) -> Slot {
        let index = at.index();
        // A ring begins empty: the phase before the first counts as over.
        self.empty.stage(index).wait(at.parity ^ Val::from(1));
        let barrier = self.full.stage(index);
        barrier.arrive_expect(bytes);
        at.advance();
        Slot { index, barrier }
    }

    /// Waits until the stage is full; which it is.
    #[track_caller]
    pub fn wait(&self, at: Cursor<N>) -> Val<usize> {
        let index = at.index();
        self.full.stage(index).wait(at.parity);
        index
    }

    /// Says that this consumer is done with a stage: one of the arrivals that empty it. What `wgmma`
    /// reads is done with after a wait for its group.
    #[track_caller]
    pub fn release(&self, at: Cursor<N>) {
        self.empty.stage(at.index()).arrive();
    }
}
