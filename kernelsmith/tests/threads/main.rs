//! Launches on the CPU among a program's own threads: how many run, which, and that all end.
//!
//! Each case is a process of its own, since rayon's pool is one a process and reads its variable once: the
//! tests start the ignored ones below.

use std::process::Command;
use std::sync::atomic::AtomicU32;

use kernelsmith::prelude::*;
use rayon::prelude::*;

/// Each block notes how many blocks run at the same time, and works for a while: the longer, the higher its
/// number, if `uneven`.
#[kernel(block = 1)]
fn crowd(#[comptime] uneven: bool, work: u32, counts: &mut [u32], sink: &mut Part<u32, 1>) {
    let now = counts.atomic(0).fetch_add(1, Ordering::Relaxed, Scope::Device) + 1;
    counts.atomic(1).fetch_max(now, Ordering::Relaxed, Scope::Device);
    let mut state = now;
    let steps = if uneven { work * (block_idx_x() as u32 + 1) } else { work };
    for _ in 0..steps {
        state = state * 1664525 + 1013904223;
    }
    for i in 0..sink.count(0) {
        sink[[i]] = state;
    }
    counts.atomic(0).fetch_sub(1, Ordering::Relaxed, Scope::Device);
    counts.atomic(2).fetch_add(1, Ordering::Relaxed, Scope::Device);
}

/// What is counted, and where results go.
struct Crowd {
    device: Device,
    counts: Buffer<u32>,
    sink: Buffer<u32>,
}

const BLOCKS: usize = 64;

impl Crowd {
    fn new() -> Crowd {
        let device = Device::cpu();
        let counts = Buffer::zeros(&device, 3).unwrap();
        let sink = Buffer::zeros(&device, BLOCKS).unwrap();
        Crowd { device, counts, sink }
    }

    fn launch(&mut self, uneven: bool) {
        let sink = self.sink.partition([1]);
        crowd(uneven, 5_000, &mut self.counts, sink).launch(&self.device).unwrap();
    }

    /// The most blocks at once.
    fn most(&self, launches: u32) -> u32 {
        let counts = self.counts.to_vec().unwrap();
        assert_eq!((counts[0], counts[2]), (0, launches * BLOCKS as u32));
        counts[1]
    }
}

/// The threads of this process, where the system tells.
fn threads() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("Threads:"))?.trim().parse().ok()
}

fn case(name: &str, threads: u32) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", name, "--nocapture", "--test-threads=1"])
        .env("RAYON_NUM_THREADS", threads.to_string())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{errors}");
}

#[test]
fn a_launch_uses_the_pool_s_threads_and_no_more() {
    [1, 2, 4].into_iter().for_each(|n| case("alone", n));
}

#[test]
#[ignore = "the body of a process that another test starts"]
fn alone() {
    let pool = rayon::current_num_threads();
    let mut crowd = Crowd::new();
    assert_eq!(crowd.device.threads(), pool);
    let before = threads();
    (0..40).for_each(|i| crowd.launch(i % 2 == 0));
    let most = crowd.most(40) as usize;
    assert!(most <= pool, "{most} blocks at once, {pool} threads");
    // Idle threads do come: a pool of one stays alone.
    assert!(pool == 1 || most > 1, "nobody helped");
    assert_eq!(threads(), before);
}

#[test]
fn launches_in_every_task_of_a_pool_end_and_add_no_threads() {
    [1, 3].into_iter().for_each(|n| case("in_tasks", n));
}

#[test]
#[ignore = "the body of a process that another test starts"]
fn in_tasks() {
    let global = rayon::current_num_threads();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(global + 1).build().unwrap();
    let before = threads();
    let running = AtomicU32::new(0);
    for install in [false, true] {
        let tasks = || {
            (0..24u32).into_par_iter().for_each(|i| {
                let (mut crowd, pool) = (Crowd::new(), rayon::current_num_threads());
                assert_eq!(crowd.device.threads(), pool);
                (0..3).for_each(|_| crowd.launch(i % 2 == 0));
                assert!(crowd.most(3) as usize <= pool);
                running.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            });
        };
        if install { pool.install(tasks) } else { tasks() }
    }
    assert_eq!((running.into_inner(), threads()), (48, before));
}

#[test]
fn many_threads_launch_at_once() {
    case("outside", 2);
}

#[test]
#[ignore = "the body of a process that another test starts"]
fn outside() {
    let pool = rayon::current_num_threads();
    let before = threads().map(|n| n + 8);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut crowd = Crowd::new();
                (0..10).for_each(|i| crowd.launch(i % 2 == 0));
                assert!(crowd.most(10) as usize <= pool);
                assert!(threads() <= before);
            });
        }
    });
}
