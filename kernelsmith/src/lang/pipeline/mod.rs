//! Pipelines: a ring of stages in shared memory that copies fill and warps use.
//!
//! Each stage has two barriers. *Full* ends a phase when a producer has come and the bytes it told
//! of are there; *empty* when every consumer has come to say that it is done. A pipeline is split into
//! a [`Producer`] and a [`Consumer`], which know the stage they are at. Both hand out tokens that are
//! moved: an [`EmptyStage`] is filled and committed, a [`FullStage`] is read and released. Doing either
//! twice, or filling a stage behind its commit, does not compile; forgetting it, or doing it only
//! under a condition of the running kernel, is an error of staging that names the line.
//!
//! ```
//! use kernelsmith::prelude::*;
//!
//! /// Sums of the rows of `x`, which one thread loads for the 128 others.
//! #[kernel(block = 256)]
//! fn sums(x: &TensorMap<f32, 2>, y: &mut [f32]) {
//!     let piece = x.tile([8, 32], Swizzle::B128);
//!     let rows = tiles::<f32>(4, [8, 32], Swizzle::B128);
//!     let (producer, consumer) = pipeline::<4>(128).split();
//!     if warpgroup_id() == 0 {
//!         if warp_id() == 0 {
//!             if elect() {
//!                 for column in (0..x.shape(1)).step_by(32) {
//!                     let stage = producer.acquire();
//!                     stage.load(rows.stage(stage.index()), piece, [0, column]);
//!                     stage.commit();
//!                 }
//!             }
//!         }
//!     } else {
//!         let row = thread_idx_x() % 128;
//!         let mut sum = 0.0f32;
//!         for column in (0..x.shape(1)).step_by(32) {
//!             let stage = consumer.wait();
//!             let tile = rows.stage(stage.index());
//!             if row < 8 {
//!                 for i in 0..32 {
//!                     sum += tile.at(row, i).get();
//!                 }
//!             }
//!             stage.release();
//!         }
//!         if row < 8 {
//!             y[row] = sum;
//!         }
//!     }
//! }
//! ```

mod due;
mod token;

pub use token::{EmptyStage, FullStage, Held};

use kernelsmith_ir::{Type, Value};

use super::cluster::cluster_sync;
use super::collectives::{thread_rank, when};
use super::compare::{eq, lt};
use super::contract::assume;
use super::index::KernelIndex;
use super::mbarrier::{Mbarriers, mbarrier_fence, mbarriers};
use super::place::Place;
use super::stage::build;
use super::staged::{Staged, next};
use super::thread::barrier;
use super::val::{IntoVal, Val};

/// The barriers of a ring of `N` stages; [`split`](Pipeline::split) gives its two ends.
#[must_use = "`split()` gives the ends that fill and use it"]
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
struct Cursor<const N: usize> {
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
    /// The first stage.
    fn start() -> Self {
        Cursor { index: 0usize.into(), parity: 0u32.into() }
    }

    /// The stage, below `N`.
    #[track_caller]
    fn index(&self) -> Val<usize> {
        // SAFETY: it begins at 0, and `advance` goes back there from N - 1.
        unsafe { assume(lt(self.index, N)) };
        self.index
    }

    /// Goes on to the next stage, behind the last to the first one, of the next phase.
    #[track_caller]
    fn advance(&mut self) {
        let next = self.index() + 1usize;
        let wraps = eq(next, N);
        let (zero, one) = (Val::<usize>::from(0), Val::<u32>::from(1));
        let flipped = self.parity ^ one;
        self.index = Val::from_id(build(|b| b.select(wraps.id, zero.id, next.id)));
        self.parity = Val::from_id(build(|b| b.select(wraps.id, flipped.id, self.parity.id)));
    }

    /// Goes on by `steps` stages.
    #[track_caller]
    fn advance_many(&mut self, steps: Val<usize>) {
        let at = self.index() + steps;
        let rounds: Val<u32> = super::cast::cast(at / N);
        self.index = at % N;
        self.parity = self.parity ^ (rounds & Val::<u32>::from(1));
    }
}

impl<const N: usize> Pipeline<N> {
    /// Its two ends. Both begin at the first stage; each belongs to one part of the block's warps, and
    /// cannot be copied.
    #[track_caller]
    pub fn split(self) -> (Producer<N>, Consumer<N>) {
        let Pipeline { full, empty } = self;
        let at = |name: &str| Place::new(name, Cursor::start());
        let release = Release { empty, leads: None, rank: None };
        let filling = Producer { full, empty, at: at("filling"), leads: None };
        (filling, Consumer { full, at: at("using"), release })
    }
}

/// The end of a pipeline that fills stages. One thread has it, or several [that one leads](Producer::led_by).
pub struct Producer<const N: usize> {
    full: Mbarriers,
    empty: Mbarriers,
    at: Place<Cursor<N>>,
    leads: Option<Val<bool>>,
}

impl<const N: usize> Producer<N> {
    /// Several threads fill stages themselves, and commits count where this is true: on one of them, behind
    /// a barrier of all. Each has made what it wrote visible by
    /// [`async_fence`](super::swizzled::async_fence) before that, if products or copies read it.
    #[track_caller]
    pub fn led_by(mut self, leads: impl IntoVal<bool>) -> Self {
        self.leads = Some(leads.into_val());
        self
    }

    /// Waits until the next stage is empty.
    #[track_caller]
    pub fn acquire(&self) -> EmptyStage {
        let mut at = self.at.get();
        let index = at.index();
        // A ring begins empty: the phase before the first counts as over.
        self.empty.stage(index).wait(at.parity ^ Val::from(1));
        let stage = EmptyStage::new(index, self.full.stage(index), self.leads);
        at.advance();
        self.at.set(at);
        stage
    }
}

/// The end of a pipeline that uses stages. Every thread that waits for stages has it, and waits for
/// the same ones.
pub struct Consumer<const N: usize> {
    full: Mbarriers,
    at: Place<Cursor<N>>,
    release: Release,
}

impl<const N: usize> Consumer<N> {
    /// Releases count where this is true: on one thread of a warpgroup, say, where the pipeline was
    /// made for as many releases as there are warpgroups. Without, every thread's counts.
    #[track_caller]
    pub fn led_by(mut self, leads: impl IntoVal<bool>) -> Self {
        self.release.leads = Some(leads.into_val());
        self
    }

    /// Releases are told to the barrier of the block of this rank in the cluster: whoever fills the
    /// stages of several blocks at once waits for all of them. No block ends before the last of them, nor
    /// before the last copy into it: a [`cluster_sync`] ends such kernels.
    #[track_caller]
    pub fn of_block(mut self, rank: impl KernelIndex) -> Self {
        self.release.rank = Some(rank.value());
        self
    }

    /// Waits until the next stage is full.
    #[track_caller]
    pub fn wait(&self) -> FullStage<N> {
        let mut at = self.at.get();
        let index = at.index();
        self.full.stage(index).wait(at.parity);
        at.advance();
        self.at.set(at);
        FullStage::new(index, self.release)
    }

    /// Waits until the next stage is full, and leaves it to be waited for: what has to be seen to in a
    /// stage before its turn comes.
    #[track_caller]
    pub fn peek(&self) -> Val<usize> {
        let at = self.at.get();
        let index = at.index();
        self.full.stage(index).wait(at.parity);
        index
    }

    /// Goes on by `steps` stages without waiting, which other consumers use. Who waits for a stage after that
    /// knows that the one before has been full: a barrier tells only this phase from the next.
    #[track_caller]
    pub fn pass(&self, steps: Val<usize>) {
        let mut at = self.at.get();
        at.advance_many(steps);
        self.at.set(at);
    }

    /// What holds a stage that is released later than the next one is waited for; nothing yet.
    #[track_caller]
    pub fn hold(&self) -> Held<N> {
        Held::new(self.release)
    }
}

/// How a stage is released.
#[derive(Clone, Copy)]
struct Release {
    empty: Mbarriers,
    leads: Option<Val<bool>>,
    rank: Option<Val<usize>>,
}

impl Release {
    #[track_caller]
    fn arrive(&self, stage: Val<usize>) {
        match self.leads {
            Some(leads) => when(leads, || self.come(stage)),
            None => self.come(stage),
        }
    }

    /// Comes to the barrier of a stage, if there is one.
    #[track_caller]
    fn arrive_where(&self, some: Val<bool>, stage: impl FnOnce() -> Val<usize>) {
        let counts = match self.leads {
            Some(leads) => leads & some,
            None => some,
        };
        when(counts, || self.come(stage()));
    }

    #[track_caller]
    fn come(&self, stage: Val<usize>) {
        let barrier = self.empty.stage(stage);
        match self.rank {
            Some(rank) => barrier.arrive_at(rank),
            None => barrier.arrive(),
        }
    }
}
