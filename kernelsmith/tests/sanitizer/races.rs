//! Accesses of different threads that nothing orders.

use kernelsmith::FindingKind::Race;
use kernelsmith::prelude::*;

use crate::harness::{finds, finds_nothing, numbers};

const SOURCE: &str = include_str!("races.rs");

#[kernel(block = 64)]
fn reverses(#[comptime] safe: bool, x: &[f32], y: &mut [f32]) {
    let tile = shared::<f32>(64);
    let i = thread_idx_x();
    tile[i] = x[i]; //~ no barrier other
    if safe {
        barrier();
    }
    y[i] = tile[63 - i]; //~ no barrier
}

#[test]
fn a_missing_barrier() {
    let (x, mut y) = (numbers(64), numbers(64));
    finds_nothing(reverses(true, &x, &mut y).grid(1));
    let finding = finds(SOURCE, "no barrier", Race, reverses(false, &x, &mut y).grid(1));
    let other = finding.other.unwrap();
    assert_eq!(finding.agent.thread[0] + other.agent.thread[0], 63);
}

#[kernel(block = 64)]
fn steps(n: usize, y: &mut [f32]) {
    let tile = shared::<f32>(64);
    let i = thread_idx_x();
    let mut sum = 0.0;
    for step in 0..n {
        tile[i] = (step + i).to_f32(); //~ overwritten
        barrier();
        sum += tile[(i + 1) % 64]; //~ overwritten other
    }
    y[i] = sum;
}

#[test]
fn a_tile_overwritten_while_others_read_it() {
    let mut y = numbers(64);
    finds_nothing(steps(1, &mut y).grid(1));
    finds(SOURCE, "overwritten", Race, steps(3, &mut y).grid(1));
}

#[kernel]
fn everybody_writes(y: &mut [f32]) {
    y[0] = thread_idx_x().to_f32(); //~ everybody
}

#[test]
fn two_threads_write_one_element() {
    let mut y = numbers(1);
    finds(SOURCE, "everybody", Race, everybody_writes(&mut y).grid(1).block(32));
    // Two blocks of one thread each race as well.
    let finding = finds(SOURCE, "everybody", Race, everybody_writes(&mut y).grid(2).block(1));
    assert_ne!(finding.agent.block, finding.other.unwrap().agent.block);
}

#[kernel]
fn counts_plainly(x: &[u32], counts: &mut [u32]) {
    let bin = x[global_idx_x()] % 4;
    counts[bin] = counts[bin] + 1; //~ no atomic
}

#[kernel]
fn counts_atomically(x: &[u32], counts: &mut [u32]) {
    counts.slot_at(x[global_idx_x()] % 4).atomic_add(1);
}

#[test]
fn a_histogram_without_atomics() {
    let device = Device::interpreter();
    let x = Buffer::from_slice(&device, &(0..256u32).collect::<Vec<_>>()).unwrap();
    let mut counts = Buffer::<u32>::zeros(&device, 4).unwrap();
    finds_nothing(counts_atomically(&x, &mut counts).grid(4).block(64));
    assert_eq!(counts.to_vec().unwrap(), [64; 4]);
    finds(SOURCE, "no atomic", Race, counts_plainly(&x, &mut counts).grid(4).block(64));
}

#[kernel]
fn shifts_in_place(y: &mut [f32]) {
    let i = global_idx_x();
    let next = y[(i + 1) % y.len()]; //~ in place other
    y[i] = next; //~ in place
}

#[test]
fn a_stencil_in_place() {
    let mut y = numbers(64);
    finds(SOURCE, "in place", Race, shifts_in_place(&mut y).grid(1).block(64));
    let finding = finds(SOURCE, "in place", Race, shifts_in_place(&mut y).grid(64).block(1));
    assert_ne!(finding.agent.block, finding.other.unwrap().agent.block);
}

#[kernel]
fn hands_over(y: &mut [f32]) {
    let i = global_idx_x();
    y[i] = 1.0; //~ next block other
    barrier();
    let n = y.len();
    let other = y[(i + block_dim_x()) % n]; //~ next block
    if other < 0.0 {
        y[i] = other;
    }
}

#[test]
fn a_barrier_does_not_order_blocks() {
    let mut y = numbers(64);
    finds_nothing(hands_over(&mut y).grid(1).block(64));
    finds(SOURCE, "next block", Race, hands_over(&mut y).grid(2).block(32));
}

#[kernel(block = 64)]
fn exchanges(distance: usize, y: &mut [f32]) {
    let tile = shared::<f32>(64);
    let i = thread_idx_x();
    tile[i] = i.to_f32(); //~ other warp other
    warp_sync();
    y[i] = tile[i ^ distance]; //~ other warp
}

#[test]
fn warp_sync_does_not_order_warps() {
    let mut y = numbers(64);
    finds_nothing(exchanges(5, &mut y).grid(1));
    let finding = finds(SOURCE, "other warp", Race, exchanges(37, &mut y).grid(1));
    let other = finding.other.unwrap();
    assert_ne!(finding.agent.thread[0] / 32, other.agent.thread[0] / 32);
}

#[kernel(block = 32)]
fn trusts_lockstep(y: &mut [f32]) {
    let tile = shared::<f32>(32);
    let i = thread_idx_x();
    tile[i] = i.to_f32(); //~ lockstep other
    y[i] = tile[i ^ 1]; //~ lockstep
}

#[test]
fn lanes_do_not_run_in_lockstep() {
    let mut y = numbers(32);
    finds(SOURCE, "lockstep", Race, trusts_lockstep(&mut y).grid(1));
}

#[kernel(block = 32)]
fn shuffles_and_hopes(y: &mut [f32]) {
    let tile = shared::<f32>(32);
    let i = thread_idx_x();
    tile[i] = i.to_f32(); //~ shuffle other
    let sum = warp_sum(i.to_f32());
    y[i] = tile[i ^ 1] + sum; //~ shuffle
}

#[test]
fn a_shuffle_orders_no_memory() {
    let mut y = numbers(32);
    finds(SOURCE, "shuffle", Race, shuffles_and_hopes(&mut y).grid(1));
}

#[kernel(block = 64)]
fn tree(y: &mut [f32]) {
    let sums = shared::<f32>(64);
    let i = thread_idx_x();
    sums[i] = i.to_f32();
    barrier();
    let mut width: usize = 32;
    while width > 0 {
        if i < width {
            sums[i] = sums[i] + sums[i + width]; //~ tree
        }
        width = width / 2;
    }
    if i == 0 {
        y[0] = sums[0];
    }
}

#[test]
fn a_tree_without_barriers() {
    let mut y = numbers(1);
    finds(SOURCE, "tree", Race, tree(&mut y).grid(1));
}

#[kernel(block = 64)]
fn broadcasts(y: &mut [f32]) {
    let best = shared::<f32>(1);
    let i = thread_idx_x();
    best[0] = 0.0; //~ broadcast
    barrier();
    y[i] = best[0];
}

#[test]
fn everybody_sets_the_start_value() {
    let mut y = numbers(64);
    finds(SOURCE, "broadcast", Race, broadcasts(&mut y).grid(1));
}

#[kernel(block = 64)]
fn reads_a_counter(y: &mut [u32]) {
    let count = shared::<u32>(1);
    if thread_idx_x() == 0 {
        count[0] = 0;
    }
    barrier();
    count.slot_at(0).atomic_add(1); //~ plain read other
    y[thread_idx_x()] = count[0]; //~ plain read
}

#[test]
fn a_counter_read_while_others_count() {
    let mut y = Buffer::<u32>::zeros(&Device::interpreter(), 64).unwrap();
    finds(SOURCE, "plain read", Race, reads_a_counter(&mut y).grid(1));
}

/// Blocks leave their sums; the one that comes last adds them up.
#[kernel(block = 1)]
fn last_block_sums(#[comptime] safe: bool, sums: &mut [f32], done: &mut [u32], y: &mut [f32]) {
    sums[block_idx_x()] = block_idx_x().to_f32(); //~ no fence other
    if safe {
        fence(Ordering::AcqRel, Scope::Device);
    }
    let before = done.slot_at(0).atomic_add(1);
    if before as usize == grid_dim_x() - 1 {
        fence(Ordering::AcqRel, Scope::Device);
        let mut sum = 0.0;
        for block in 0..grid_dim_x() {
            sum += sums[block]; //~ no fence
        }
        y[0] = sum;
    }
}

#[test]
fn the_last_block_needs_a_fence() {
    let device = Device::interpreter();
    let (mut sums, mut y) = (numbers(8), numbers(1));
    let mut done = Buffer::<u32>::zeros(&device, 1).unwrap();
    finds_nothing(last_block_sums(true, &mut sums, &mut done, &mut y).grid(8));
    assert_eq!(y.to_vec().unwrap(), [28.0]);
    let mut done = Buffer::<u32>::zeros(&device, 1).unwrap();
    let launch = last_block_sums(false, &mut sums, &mut done, &mut y).grid(8);
    finds(SOURCE, "no fence", Race, launch);
}

/// Block 1 waits until block 0 has left its number.
#[kernel(block = 1)]
fn waits_for_a_flag(#[comptime] safe: bool, data: &mut [f32], flag: &mut [u32], y: &mut [f32]) {
    if block_idx_x() == 0 {
        data[0] = 5.0; //~ no release other
        if safe {
            fence(Ordering::AcqRel, Scope::Device);
        }
        flag.slot_at(0).atomic_exchange(1);
    } else {
        while flag.slot_at(0).atomic_add(0) == 0 {}
        fence(Ordering::AcqRel, Scope::Device);
        y[0] = data[0]; //~ no release
    }
}

#[test]
fn a_flag_needs_a_fence_before() {
    let device = Device::interpreter();
    let (mut data, mut y) = (numbers(1), numbers(1));
    let flag = || Buffer::<u32>::zeros(&device, 1).unwrap();
    finds_nothing(waits_for_a_flag(true, &mut data, &mut flag(), &mut y).grid(2));
    assert_eq!(y.to_vec().unwrap(), [5.0]);
    let mut flag = flag();
    let launch = waits_for_a_flag(false, &mut data, &mut flag, &mut y).grid(2);
    finds(SOURCE, "no release", Race, launch);
}
