//! A launch's threads: the caller, and those of the pool that come in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, Thread};

/// Spins before the caller sleeps: some microseconds, in which most others finish.
const SPINS: u32 = 4000;

/// Pieces of work that threads take one by one.
struct Work {
    pieces: usize,
    /// The next piece that nobody has.
    next: AtomicUsize,
    /// Pieces that are done.
    done: AtomicUsize,
    caller: Thread,
    run: Run,
}

/// A closure without its lifetime.
struct Run(*const (dyn Fn(usize) + Sync));

// SAFETY: the closure may be shared, and `share` keeps it alive for as long as it is called.
unsafe impl Send for Run {}
// SAFETY: as above.
unsafe impl Sync for Run {}

impl Work {
    /// Takes pieces until none is left. Who takes the last one of all wakes the caller.
    fn take(&self) {
        loop {
            let piece = self.next.fetch_add(1, Ordering::Relaxed);
            if piece >= self.pieces {
                return;
            }
            // SAFETY: there is a piece that is not done, so the caller still waits in `share`.
            unsafe { (*self.run.0)(piece) };
            if self.done.fetch_add(1, Ordering::Release) + 1 == self.pieces {
                self.caller.unpark();
            }
        }
    }

    fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire) == self.pieces
    }
}

/// Runs pieces `0..pieces`, each once, on the calling thread and on as many of rayon's current pool as
/// are free, and returns when all are done.
///
/// The caller begins at once and waits for nobody who has not begun: a pool that sleeps, or is busy with
/// something else, costs nothing but its help. So this can neither hang in a pool that is full of
/// launches nor be slower than one thread alone by more than the asking.
pub(crate) fn share(pieces: usize, run: &(dyn Fn(usize) + Sync)) {
    let threads = rayon::current_num_threads().min(pieces);
    if threads <= 1 {
        return (0..pieces).for_each(run);
    }
    // SAFETY: only the lifetime changes. The closure is called for pieces of this work alone, and this
    // function returns after the last of them.
    let run = Run(unsafe {
        std::mem::transmute::<*const (dyn Fn(usize) + Sync), *const (dyn Fn(usize) + Sync)>(run)
    });
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = Arc::new(Work { pieces, next, done, caller: thread::current(), run });
    for _ in 1..threads {
        let work = work.clone();
        rayon::spawn(move || work.take());
    }
    work.take();
    let mut spins = 0;
    while !work.is_done() {
        match spins < SPINS {
            true => std::hint::spin_loop(),
            // Whoever finishes the last piece ends this, if it has not been done just now.
            false => thread::park(),
        }
        spins += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_piece_runs_once_whoever_asks() {
        for pieces in [0, 1, 2, 7, 100] {
            let counts: Vec<AtomicUsize> = (0..pieces).map(|_| AtomicUsize::new(0)).collect();
            let run = |i: usize| {
                counts[i].fetch_add(1, Ordering::Relaxed);
            };
            for _ in 0..50 {
                share(pieces, &run);
            }
            assert!(counts.iter().all(|n| n.load(Ordering::Relaxed) == 50));
        }
    }

    #[test]
    fn launches_from_every_thread_of_a_pool_end() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let sum = AtomicUsize::new(0);
        pool.scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|_| {
                    share(8, &|i| {
                        sum.fetch_add(i, Ordering::Relaxed);
                    });
                });
            }
        });
        assert_eq!(sum.into_inner(), 20 * 28);
    }
}
