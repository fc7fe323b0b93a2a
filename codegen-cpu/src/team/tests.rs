//! Who runs what: each item once, never more threads than there are places, and an end in every pool.

use std::sync::Barrier;
use std::time::Duration;

use super::*;

/// One launch.
fn launch(items: u64, run: &(dyn Fn(Range<u64>) + Sync)) {
    share(&Caller::enter(), items, run);
}

fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
}

/// Threads that are at work, and the most there ever were.
#[derive(Default)]
struct Busy {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Busy {
    fn work(&self) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        thread::sleep(Duration::from_micros(200));
        self.now.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn each_item_runs_once_whoever_asks() {
    for items in [0, 1, 2, 7, 100, 1000] {
        let counts: Vec<AtomicUsize> = (0..items).map(|_| AtomicUsize::new(0)).collect();
        for _ in 0..50 {
            launch(items, &|run| {
                for i in run {
                    counts[i as usize].fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        assert!(counts.iter().all(|n| n.load(Ordering::Relaxed) == 50));
    }
}

#[test]
fn runs_are_long_at_first_and_single_at_last() {
    let work = Work {
        items: 1000,
        parts: PARTS * 2,
        next: AtomicU64::new(0),
        done: AtomicU64::new(0),
        most: None,
        caller: thread::current(),
        requests: Arc::default(),
        run: Run(&|_: Range<u64>| ()),
    };
    let runs: Vec<_> = std::iter::from_fn(|| work.claim()).collect();
    let lens: Vec<u64> = runs.iter().map(|run| run.end - run.start).collect();
    assert_eq!(lens.iter().sum::<u64>(), 1000);
    assert!(runs.windows(2).all(|pair| pair[0].end == pair[1].start));
    assert!(lens.is_sorted_by(|a, b| a >= b), "{lens:?}");
    assert_eq!((lens[0], &lens[lens.len() - 8..]), (125, &[1; 8][..]));
}

/// Costs that grow or fall from block to block, as under a causal mask: what a schedule of greedy
/// threads ends with, against the even share.
#[test]
fn nobody_waits_for_a_long_tail() {
    for threads in [2, 3, 16] {
        let costs: [fn(u64) -> u64; 3] =
            [|i| i + 1, |i| 1000 - i, |i| 1 + 50 * u64::from(i.is_multiple_of(97))];
        for cost in costs {
            let mut free_at = vec![0; threads];
            let mut from = 0;
            while from < 1000 {
                let to = from + ((1000 - from) / (PARTS * threads as u64)).max(1);
                let next = free_at.iter_mut().min().expect("threads");
                *next += (from..to).map(cost).sum::<u64>();
                from = to;
            }
            let (last, all) = (free_at.iter().max().unwrap(), (0..1000).map(cost).sum::<u64>());
            let dearest = (0..1000).map(cost).max().unwrap();
            assert!(last - all / threads as u64 <= dearest + 1, "{threads} threads: {free_at:?}");
        }
    }
}

#[test]
fn launches_from_every_thread_of_a_pool_end() {
    let sum = AtomicU64::new(0);
    pool(2).scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|_| {
                launch(8, &|run| {
                    sum.fetch_add(run.sum(), Ordering::Relaxed);
                });
            });
        }
    });
    assert_eq!(sum.into_inner(), 20 * 28);
}

#[test]
fn launches_within_launches_end() {
    let sum = AtomicU64::new(0);
    pool(3).install(|| {
        launch(6, &|run| {
            for _ in run {
                launch(5, &|run| {
                    sum.fetch_add(run.end - run.start, Ordering::Relaxed);
                });
            }
        });
    });
    assert_eq!(sum.into_inner(), 30);
}

#[test]
fn in_a_users_pool_all_threads_are_its_own() {
    let (busy, outsiders) = (Busy::default(), AtomicUsize::new(0));
    let pool = pool(3);
    pool.scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|_| {
                launch(16, &|run| {
                    // A thread of another pool has an index there, but another name.
                    let own = pool.current_thread_index().is_some();
                    outsiders.fetch_add(usize::from(!own), Ordering::Relaxed);
                    run.for_each(|_| busy.work());
                });
            });
        }
    });
    assert_eq!(outsiders.into_inner(), 0);
    assert!(busy.most.into_inner() <= 3);
}

#[test]
fn threads_that_launch_take_the_places_of_those_that_help() {
    let others: Vec<_> = (0..rayon::current_num_threads()).map(|_| Caller::enter()).collect();
    let own = thread::current().id();
    for _ in 0..20 {
        launch(100, &|_| assert_eq!(thread::current().id(), own));
    }
    drop(others);
    let crowd = Crowd(AtomicUsize::new(0));
    let joined = (0..9).filter(|_| crowd.join(5)).count();
    assert_eq!(joined, 5);
    let left = (0..9).filter(|_| crowd.make_room(3)).count();
    assert_eq!((left, crowd.0.into_inner()), (2, 3));
}

#[test]
fn callers_outside_of_pools_all_end() {
    const CALLERS: usize = 6;
    let (busy, barrier) = (Busy::default(), Barrier::new(CALLERS));
    thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| {
                barrier.wait();
                for _ in 0..5 {
                    launch(40, &|run| run.for_each(|_| busy.work()));
                }
            });
        }
    });
    assert!(busy.most.into_inner() < CALLERS + rayon::current_num_threads());
}

#[test]
fn a_busy_pool_is_not_asked_for_ever() {
    let pool = pool(2);
    let (started, release) = (Barrier::new(2), Barrier::new(2));
    pool.scope(|scope| {
        scope.spawn(|_| {
            started.wait();
            release.wait();
        });
        scope.spawn(|_| {
            started.wait();
            for _ in 0..100 {
                launch(4, &|_| ());
                let asked = REQUESTS.with(|r| r.get().map_or(0, |r| r.load(Ordering::Relaxed)));
                assert!(asked <= UNANSWERED * 2, "{asked} requests wait");
            }
            release.wait();
        });
    });
}
