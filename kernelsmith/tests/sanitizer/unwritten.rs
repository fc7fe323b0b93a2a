//! Reads of memory that nobody wrote.

use kernelsmith::FindingKind::Uninitialized;
use kernelsmith::prelude::*;

use crate::harness::{finds, finds_nothing, numbers};

const SOURCE: &str = include_str!("unwritten.rs");

#[kernel(block = 32)]
fn reads_fresh_shared(y: &mut [f32]) {
    let sums = shared::<f32>(32);
    let i = thread_idx_x();
    sums[i] = sums[i] + 1.0; //~ fresh
    y[i] = sums[i];
}

#[test]
fn shared_memory_is_not_zero() {
    let mut y = numbers(32);
    finds(SOURCE, "fresh", Uninitialized, reads_fresh_shared(&mut y).grid(1));
}

#[kernel(block = 32)]
fn fills_part_of_a_tile(n: usize, x: &[f32], y: &mut [f32]) {
    let tile = shared::<f32>(32);
    let i = thread_idx_x();
    if i < n {
        tile[i] = x[i];
    }
    barrier();
    y[i] = tile[31 - i]; //~ the tail
}

#[test]
fn the_tail_of_a_tile() {
    let (x, mut y) = (numbers(32), numbers(32));
    finds_nothing(fills_part_of_a_tile(32, &x, &mut y).grid(1));
    let launch = fills_part_of_a_tile(30, &x, &mut y).grid(1);
    let finding = finds(SOURCE, "the tail", Uninitialized, launch);
    assert!(finding.agent.thread[0] < 2, "{finding}");
}

#[kernel]
fn accumulates(x: &[f32], y: &mut [f32]) {
    let i = thread_idx_x();
    y[i] = y[i] + x[i]; //~ no start
}

#[test]
fn a_buffer_nobody_filled() {
    let x = numbers(32);
    // SAFETY: not kept on purpose: the kernel reads before it writes.
    let mut y = unsafe { Buffer::<f32>::uninit(&Device::interpreter(), 32).unwrap() };
    finds(SOURCE, "no start", Uninitialized, accumulates(&x, &mut y).grid(1).block(32));
    // The same launch wrote the elements, so now they are.
    finds_nothing(accumulates(&x, &mut y).grid(1).block(32));
}

#[kernel]
fn writes_evens(y: &mut [f32]) {
    y[thread_idx_x() * 2] = 1.0;
}

#[kernel]
fn copies(x: &[f32], y: &mut [f32]) {
    let i = thread_idx_x();
    y[i] = x[i]; //~ the odd ones
}

#[test]
fn what_an_earlier_launch_left_out() {
    // SAFETY: not kept on purpose: only every second element is written.
    let mut x = unsafe { Buffer::<f32>::uninit(&Device::interpreter(), 32).unwrap() };
    let mut y = numbers(32);
    finds_nothing(writes_evens(&mut x).grid(1).block(16));
    let launch = copies(&x, &mut y).grid(1).block(32);
    let finding = finds(SOURCE, "the odd ones", Uninitialized, launch);
    assert_eq!(finding.agent.thread[0] % 2, 1, "{finding}");
}

#[kernel(block = 64)]
fn counts_without_a_zero(y: &mut [u32]) {
    let count = shared::<u32>(1);
    count.slot_at(0).atomic_add(1); //~ no zero
    barrier();
    if thread_idx_x() == 0 {
        y[0] = count[0];
    }
}

#[test]
fn a_counter_that_was_not_set_to_zero() {
    let mut y = Buffer::<u32>::zeros(&Device::interpreter(), 1).unwrap();
    finds(SOURCE, "no zero", Uninitialized, counts_without_a_zero(&mut y).grid(1));
}

#[kernel(block = 32)]
fn shares_across_blocks(y: &mut [f32]) {
    let tile = shared::<f32>(32);
    let i = thread_idx_x();
    if block_idx_x() == 0 {
        tile[i] = 1.0;
    }
    barrier();
    y[block_idx_x() * 32 + i] = tile[i]; //~ another block's
}

#[test]
fn shared_memory_of_another_block() {
    let mut y = numbers(64);
    let launch = shares_across_blocks(&mut y).grid(2);
    let finding = finds(SOURCE, "another block's", Uninitialized, launch);
    assert_eq!(finding.agent.block, [1, 0, 0]);
}
