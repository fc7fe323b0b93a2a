//! A pipeline of Hopper with one thing wrong.

use kernelsmith::Finding;
use kernelsmith::FindingKind::{self, CopyInFlight, Deadlock, MissingFence, ResultInFlight};
use kernelsmith::prelude::*;

use crate::harness::{findings, marked};

const SOURCE: &str = include_str!("hopper.rs");

/// What is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Bug {
    Nothing,
    KeepsSlots,
    ReleasesEarly,
    ForgetsFence,
    ReadsEarly,
    ExpectsMore,
}

/// `C = A * B'` of 64 rows and columns. One thread loads, a warpgroup multiplies.
impl Bug {
    fn is(self, other: Bug) -> bool {
        self == other
    }
}

/// A part of the kernel's staging, in plain Rust.
#[track_caller]
fn released_if(now: bool, stage: Option<FullStage<2>>) -> Option<FullStage<2>> {
    match stage {
        Some(stage) if now => {
            stage.release();
            None
        }
        stage => stage,
    }
}

#[track_caller]
fn kept(stage: Option<FullStage<2>>) {
    if let Some(stage) = stage {
        stage.keep();
    }
}

#[kernel(block = 256)]
fn product(
    #[comptime] bug: Bug,
    a: &TensorMap<bf16, 2>,
    b: &TensorMap<bf16, 2>,
    c: &mut TensorMap<bf16, 2>,
) {
    let a_box = a.tile([64, 64], Swizzle::B128);
    let b_box = b.tile([64, 64], Swizzle::B128);
    let c_box = c.tile([64, 64], Swizzle::B128);
    let a_tiles = tiles::<bf16>(2, [64, 64], Swizzle::B128);
    let b_tiles = tiles::<bf16>(2, [64, 64], Swizzle::B128);
    let out = tiles::<bf16>(1, [64, 64], Swizzle::B128).stage(0);
    let (producer, consumer) = pipeline::<2>(1).split();
    let steps = a.shape(1).div_ceil(64);
    let bytes = a_tiles.bytes() + b_tiles.bytes();
    let bytes = if bug.is(Bug::ExpectsMore) { bytes + 16 } else { bytes };
    if warpgroup_id() == 1 {
        if warp_id() == 4 {
            if elect() {
                for step in 0..steps {
                    let slot = producer.acquire(); //~ fill
                    let (stage, k) = (slot.index(), 64 * step);
                    a_tiles.stage(stage).load(a_box, [0, k], slot.barrier()); //~ load
                    b_tiles.stage(stage).load(b_box, [0, k], slot.barrier());
                    slot.commit_bytes(bytes);
                }
            }
        }
    } else {
        let leads = thread_idx_x() == 0;
        let consumer = consumer.led_by(leads);
        let mut sums = InFlight::<Wgmma<bf16, 64>>::zero();
        for _ in 0..steps {
            let stage = consumer.wait(); //~ wait
            let (a, b) = (a_tiles.stage(stage.index()), b_tiles.stage(stage.index()));
            wgmma_fence();
            for k in unroll(0..4) {
                sums = wgmma(a.k_major(0, 16 * k), b.k_major(0, 16 * k), sums, true); //~ product
            }
            wgmma_commit();
            let stage = released_if(bug.is(Bug::ReleasesEarly), Some(stage));
            wgmma_wait(if bug.is(Bug::ReadsEarly) { 1 } else { 0 });
            let stage = released_if(!bug.is(Bug::KeepsSlots), stage);
            kept(stage);
        }
        let sums = if bug.is(Bug::ReadsEarly) { sums.wait_pending(1) } else { sums.wait() };
        out.store_sums(sums, 0, 0, |_, _, x| x.cast::<bf16>()); //~ sums
        if !bug.is(Bug::ForgetsFence) {
            async_fence();
        }
        barrier_sync(1, 128);
        if leads {
            out.store(c_box, [0, 0]); //~ store
            bulk_commit();
            bulk_wait(0);
        }
    }
}

/// What is found with so many tiles along the depth.
fn found(bug: Bug, tiles: usize) -> Vec<Finding> {
    let device = Device::interpreter();
    let one = bf16::from_f32(1.0);
    let x = Buffer::from_slice(&device, &vec![one; 64 * 64 * tiles]).unwrap();
    let mut c = Buffer::<bf16>::zeros(&device, 64 * 64).unwrap();
    let view = || View::of(&x, [64, 64 * tiles]);
    let found = findings(product(bug, view(), view(), View::of_mut(&mut c, [64, 64])).grid(1));
    if bug == Bug::Nothing {
        let expected = bf16::from_f32(64.0 * tiles as f32);
        assert_eq!(c.to_vec().unwrap(), [expected; 64 * 64]);
    }
    found
}

#[test]
fn a_right_pipeline() {
    let found = found(Bug::Nothing, 3);
    assert!(found.is_empty(), "{}", found[0]);
}

/// What is found first: the kind, the line, and the other side's.
fn finds(bug: Bug, tiles: usize, kind: FindingKind, at: &str, other: Option<&str>) -> Finding {
    let finding = found(bug, tiles).into_iter().next().expect("something is found");
    let line = |place: &Option<(String, u32, u32)>| place.as_ref().map(|&(_, line, _)| line);
    let lines = (line(&finding.location), finding.other.as_ref().and_then(|o| line(&o.location)));
    let planted = (marked(SOURCE, at), other.and_then(|other| marked(SOURCE, other)));
    assert_eq!((finding.kind, lines), (kind, planted), "{finding}");
    finding
}

#[test]
fn a_slot_that_is_kept() {
    let finding = finds(Bug::KeepsSlots, 3, Deadlock, "fill", None);
    assert!(finding.what.contains("thread 128 of block 0 waits for parity 0"), "{finding}");
    assert!(finding.what.contains("nobody is left who could"), "{finding}");
    let consumers = &finding.waits[0];
    assert_eq!(consumers.location.as_ref().map(|place| place.1), marked(SOURCE, "wait"));
    assert!(consumers.what.contains("it is for thread 128 of block 0 to come"), "{finding}");
}

#[test]
fn a_slot_that_is_released_too_early() {
    finds(Bug::ReleasesEarly, 3, CopyInFlight, "load", Some("product"));
}

#[test]
fn a_store_without_a_fence() {
    finds(Bug::ForgetsFence, 1, MissingFence, "store", Some("sums"));
}

#[test]
fn sums_that_are_not_waited_for() {
    finds(Bug::ReadsEarly, 1, ResultInFlight, "sums", Some("product"));
}

#[test]
fn bytes_that_nobody_copies() {
    let finding = finds(Bug::ExpectsMore, 1, Deadlock, "wait", None);
    assert!(finding.what.contains("misses 0 of 1 arrivals and 16 bytes"), "{finding}");
}
