//! Threads that should come together, and do not.

use kernelsmith::FindingKind::{DivergentBarrier, DivergentCollective, InactiveLane};
use kernelsmith::prelude::*;

use crate::harness::{finds, finds_nothing, numbers};

const SOURCE: &str = include_str!("divergence.rs");

#[kernel(block = 64)]
fn some_wait(y: &mut [f32]) {
    let i = thread_idx_x();
    if i < 40 {
        barrier(); //~ some
    }
    y[i] = 1.0; //~ some other
}

#[test]
fn a_barrier_for_some() {
    let mut y = numbers(64);
    let finding = finds(SOURCE, "some", DivergentBarrier, some_wait(&mut y).grid(1));
    assert!(finding.agent.thread[0] < 40);
    assert!(finding.other.unwrap().agent.thread[0] >= 40);
}

#[kernel(block = 64)]
fn two_barriers(y: &mut [f32]) {
    let i = thread_idx_x();
    if i < 32 {
        y[i] = 1.0;
        barrier(); //~ two
    } else {
        y[i] = 2.0;
        barrier(); //~ two other
    }
    y[i] = y[63 - i];
}

#[test]
fn a_barrier_in_each_branch() {
    let mut y = numbers(64);
    finds(SOURCE, "two", DivergentBarrier, two_barriers(&mut y).grid(1));
}

#[kernel(block = 64)]
fn rounds(y: &mut [f32]) {
    let i = thread_idx_x();
    for _ in 0..i % 2 + 1 {
        barrier(); //~ rounds
    }
    barrier(); //~ rounds other
    y[i] = 1.0;
}

#[test]
fn a_barrier_in_a_loop_of_different_lengths() {
    let mut y = numbers(64);
    finds(SOURCE, "rounds", DivergentBarrier, rounds(&mut y).grid(1));
}

#[kernel(block = 64)]
fn skips(n: usize, y: &mut [f32]) {
    let i = thread_idx_x();
    for step in 0..n {
        if (i + step) % 4 == 0 {
            continue;
        }
        barrier(); //~ skipped
    }
    y[i] = 1.0;
}

#[test]
fn a_barrier_that_each_skips_another_time() {
    let mut y = numbers(64);
    let finding = finds(SOURCE, "skipped", DivergentBarrier, skips(4, &mut y).grid(1));
    assert!(finding.other.unwrap().what.contains("another iteration"));
}

#[kernel(block = 64)]
fn returns_early(n: usize, y: &mut [f32], z: &mut [f32]) {
    let i = thread_idx_x();
    if i >= n {
        return;
    }
    y[i] = 1.0;
    barrier();
    z[i] = y[n - 1 - i];
}

/// A thread that has returned counts as there.
#[test]
fn returning_before_a_barrier_is_allowed() {
    let (mut y, mut z) = (numbers(64), numbers(64));
    finds_nothing(returns_early(40, &mut y, &mut z).grid(1));
    assert_eq!(z.to_vec().unwrap()[38..42], [1.0, 1.0, 40.0, 41.0]);
}

#[kernel(block = 32)]
fn shuffles_in_a_branch(y: &mut [f32]) {
    let i = thread_idx_x();
    let mut x = i.to_f32();
    if i < 16 {
        x = shuffle_xor(x, 1u32); //~ branch
    }
    y[i] = warp_sum(x); //~ branch other
}

#[test]
fn a_shuffle_in_a_branch() {
    let mut y = numbers(32);
    finds(SOURCE, "branch", DivergentCollective, shuffles_in_a_branch(&mut y).grid(1));
}

#[kernel(block = 32)]
fn sums_after_return(n: usize, y: &mut [f32]) {
    let i = thread_idx_x();
    if i >= n {
        return; //~ returned other
    }
    y[i] = warp_sum(i.to_f32()); //~ returned
}

#[test]
fn a_reduction_after_some_returned() {
    let mut y = numbers(32);
    finds_nothing(sums_after_return(32, &mut y).grid(1));
    finds(SOURCE, "returned", DivergentCollective, sums_after_return(20, &mut y).grid(1));
}

#[kernel(block = 32)]
fn votes_apart(y: &mut [u32]) {
    let i = thread_idx_x();
    let mut all = i < 32;
    if i % 2 == 0 {
        all = warp_all(i < 31); //~ vote
    } else {
        all = warp_any(i < 31); //~ vote other
    }
    if all {
        y[i] = 1;
    }
}

#[test]
fn votes_in_both_branches() {
    let mut y = Buffer::<u32>::zeros(&Device::interpreter(), 32).unwrap();
    finds(SOURCE, "vote", DivergentCollective, votes_apart(&mut y).grid(1));
}

#[kernel(block = 32)]
fn syncs_apart(y: &mut [f32]) {
    let i = thread_idx_x();
    for step in 0..4 {
        if i % 4 == step {
            warp_sync(); //~ apart
        }
    }
    y[i] = 1.0;
}

#[test]
fn a_warp_sync_of_a_few_lanes() {
    let mut y = numbers(32);
    finds(SOURCE, "apart", DivergentCollective, syncs_apart(&mut y).grid(1));
}

#[kernel]
fn asks_its_neighbour(y: &mut [f32]) {
    let i = thread_idx_x();
    y[i] = shuffle_xor(i.to_f32(), 1u32); //~ not there
}

#[test]
fn a_shuffle_from_a_lane_that_does_not_exist() {
    let mut y = numbers(32);
    finds_nothing(asks_its_neighbour(&mut y).grid(1).block(32));
    let launch = asks_its_neighbour(&mut y).grid(1).block(19);
    let finding = finds(SOURCE, "not there", InactiveLane, launch);
    assert_eq!(finding.agent.thread, [18, 0, 0]);
}

#[kernel]
fn multiplies(y: &mut [f32]) {
    let a = Fragment::<MmaSync<f16, 16, 8, 8>, MatrixA>::zero();
    let b = Fragment::<MmaSync<f16, 16, 8, 8>, MatrixB>::zero();
    let sum = mma(a, b, Fragment::zero()); //~ half a warp
    y[thread_idx_x()] = sum[0];
}

#[test]
fn a_matrix_for_half_a_warp() {
    let mut y = numbers(32);
    finds_nothing(multiplies(&mut y).grid(1).block(32));
    finds(SOURCE, "half a warp", InactiveLane, multiplies(&mut y).grid(1).block(16));
}

#[kernel(block = 32)]
fn multiplies_in_a_branch(y: &mut [f32]) {
    let i = thread_idx_x();
    let a = Fragment::<MmaSync<f16, 16, 8, 8>, MatrixA>::zero();
    let b = Fragment::<MmaSync<f16, 16, 8, 8>, MatrixB>::zero();
    let mut sum = Fragment::<MmaSync<f16, 16, 8, 8>, Accumulator>::zero();
    if i != 7 {
        sum = mma(a, b, sum); //~ lane seven
    }
    warp_sync(); //~ lane seven other
    y[i] = sum[0];
}

#[test]
fn a_matrix_without_one_lane() {
    let mut y = numbers(32);
    let launch = multiplies_in_a_branch(&mut y).grid(1);
    let finding = finds(SOURCE, "lane seven", DivergentCollective, launch);
    assert_eq!(finding.other.unwrap().agent.thread, [7, 0, 0]);
}
