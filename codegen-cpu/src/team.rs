//! A launch's threads: the caller, and those of the pool that come in time.

use std::cell::{Cell, OnceCell};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, Thread};

/// Spins before the caller sleeps: some microseconds, in which most others finish.
const SPINS: u32 = 4000;

/// A thread takes at once one of so many parts of its even share of what is left. The last pieces are
/// single ones, so that nobody waits longer than one of them takes, and the first long runs: neighbours
/// share rows and columns of matrices.
const PARTS: u64 = 4;

/// A thread may have asked for help so many times a thread of its pool that nobody has answered: the pool
/// is busy with something else, and more would only wait there.
const UNANSWERED: usize = 4;

/// Threads of no pool that run kernels, and those of rayon's global pool that help them.
static OUTSIDE: Crowd = Crowd(AtomicUsize::new(0));

/// Those of no pool alone. Who helped with the last launch may still be on the way out when the next one
/// begins: that must not keep it from asking for help.
static CALLERS: Crowd = Crowd(AtomicUsize::new(0));

thread_local! {
    /// Requests for help by this thread that nobody has answered yet.
    static REQUESTS: OnceCell<Arc<AtomicUsize>> = const { OnceCell::new() };
}

/// How many threads a launch by this thread may have: those of rayon's current pool.
pub fn threads() -> usize {
    rayon::current_num_threads()
}

/// Some threads, and how many there may be.
struct Crowd(AtomicUsize);

impl Crowd {
    /// One more, however many there are.
    fn enter(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// One more, if there are fewer than `most` then.
    fn join(&self, most: usize) -> bool {
        let more = |n| (n < most).then_some(n + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// One fewer, if there are more than `most`. Of several threads that ask only as many go as are too many.
    fn make_room(&self, most: usize) -> bool {
        let fewer = |n| (n > most).then(|| n - 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer).is_ok()
    }

    fn leave(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A thread that launches, for as long as it runs its kernel. A thread of a pool counts as that; another
/// one takes a place of the global pool's threads, one of which then has to stay away.
pub(crate) struct Caller {
    outside: bool,
}

impl Caller {
    pub(crate) fn enter() -> Caller {
        let outside = rayon::current_thread_index().is_none();
        if outside {
            // Whoever launches runs, however many there are.
            OUTSIDE.enter();
            CALLERS.enter();
        }
        Caller { outside }
    }

    /// How many threads may take part, this one among them.
    fn threads(&self) -> usize {
        let all = threads();
        match self.outside {
            true => (all + 1).saturating_sub(CALLERS.0.load(Ordering::Relaxed)).max(1),
            false => all,
        }
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        if self.outside {
            CALLERS.leave();
            OUTSIDE.leave();
        }
    }
}

/// Items that threads take run by run.
struct Work {
    items: u64,
    /// Into how many parts the rest is divided when a thread takes one.
    parts: u64,
    /// The first item that nobody has.
    next: AtomicU64,
    /// Items that are done.
    done: AtomicU64,
    /// How many threads there may be, if the caller is of no pool.
    most: Option<usize>,
    caller: Thread,
    requests: Arc<AtomicUsize>,
    run: Run,
}

/// A closure without its lifetime.
struct Run(*const (dyn Fn(Range<u64>) + Sync));

// SAFETY: the closure may be shared, and `share` keeps it alive for as long as it is called.
unsafe impl Send for Run {}
// SAFETY: as above.
unsafe impl Sync for Run {}

impl Work {
    /// The next run of items: long at first, single at last.
    fn claim(&self) -> Option<Range<u64>> {
        let mut from = self.next.load(Ordering::Relaxed);
        loop {
            let left = self.items - from;
            if left == 0 {
                return None;
            }
            let to = from + (left / self.parts).max(1);
            match self.next.compare_exchange_weak(from, to, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(from..to),
                Err(now) => from = now,
            }
        }
    }

    /// Runs what it claims, and `leaving` before it says so. Who ends the last item of all wakes the caller.
    fn take(&self, leaving: impl FnOnce()) -> bool {
        let Some(items) = self.claim() else { return false };
        let len = items.end - items.start;
        // SAFETY: these items are not done, so the caller still waits in `share`.
        unsafe { (*self.run.0)(items) };
        leaving();
        if self.done.fetch_add(len, Ordering::Release) + len == self.items {
            self.caller.unpark();
        }
        true
    }

    fn is_claimed(&self) -> bool {
        self.next.load(Ordering::Relaxed) == self.items
    }

    /// Takes part as a thread of the pool, unless or until there are too many.
    fn help(&self) {
        self.requests.fetch_sub(1, Ordering::Relaxed);
        let Some(most) = self.most else {
            while self.take(|| ()) {}
            return;
        };
        if self.is_claimed() || !OUTSIDE.join(most) {
            return;
        }
        // Its place is free before the caller hears of its last items, who may launch the next kernel then.
        let here = Cell::new(true);
        let go = || match self.is_claimed() {
            true => {
                OUTSIDE.leave();
                here.set(false);
            }
            false => here.set(!OUTSIDE.make_room(most)),
        };
        while here.get() {
            if !self.take(go) {
                return OUTSIDE.leave();
            }
        }
    }

    fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire) == self.items
    }
}

/// Runs items `0..items`, each once and neighbours together, on the calling thread and on as many of
/// rayon's current pool as are free, and returns when all are done.
///
/// The caller begins at once and waits for nobody who has not begun: a pool that sleeps, or is busy with
/// something else, costs nothing but its help. So this can neither hang in a pool that is full of
/// launches nor be slower than one thread alone by more than the asking.
///
/// There are never more threads at it than the pool has: within a pool all are its own, and to callers
/// outside come as many of the global pool as there are places left.
pub(crate) fn share(caller: &Caller, items: u64, run: &(dyn Fn(Range<u64>) + Sync)) {
    let all = threads();
    let requests = REQUESTS.with(|requests| requests.get_or_init(Arc::default).clone());
    let unanswered = requests.load(Ordering::Relaxed);
    let useful = usize::try_from(items).unwrap_or(usize::MAX);
    let helpers = caller.threads().min(useful).saturating_sub(1);
    let helpers = helpers.min((UNANSWERED * all).saturating_sub(unanswered));
    if helpers == 0 {
        return run(0..items);
    }
    // SAFETY: only the lifetime changes. The closure is called for items of this work alone, and this
    // function returns after the last of them.
    let run = Run(unsafe {
        std::mem::transmute::<*const (dyn Fn(Range<u64>) + Sync), *const (dyn Fn(Range<u64>) + Sync)>(
            run,
        )
    });
    let work = Arc::new(Work {
        items,
        parts: PARTS * (helpers as u64 + 1),
        next: AtomicU64::new(0),
        done: AtomicU64::new(0),
        most: caller.outside.then_some(all),
        caller: thread::current(),
        requests,
        run,
    });
    work.requests.fetch_add(helpers, Ordering::Relaxed);
    for _ in 0..helpers {
        let work = work.clone();
        rayon::spawn(move || work.help());
    }
    while work.take(|| ()) {}
    let mut spins = 0;
    while !work.is_done() {
        match spins < SPINS {
            true => std::hint::spin_loop(),
            // Whoever finishes the last item ends this, if it has not been done just now.
            false => thread::park(),
        }
        spins += 1;
    }
}

#[cfg(test)]
mod tests;
