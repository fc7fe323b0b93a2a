//! Asynchronous copies that somebody does not wait for.

use kernelsmith::FindingKind::{CopyInFlight, Race};
use kernelsmith::prelude::*;

use crate::harness::{finds, finds_nothing, finds_one_of, numbers};

const SOURCE: &str = include_str!("copies.rs");

#[kernel(block = 32)]
fn no_wait(#[comptime] safe: bool, x: &[f32], y: &mut [f32]) {
    let tile = shared::<f32>(128);
    let i = thread_idx_x();
    cp_async::<4, f32>(tile, i * 4, x, i * 4); //~ no wait other
    cp_async_commit();
    if safe {
        cp_async_wait(0);
    }
    y[i] = tile[i * 4]; //~ no wait
}

#[test]
fn the_own_copy_before_the_wait() {
    let (x, mut y) = (numbers(128), numbers(32));
    finds_nothing(no_wait(true, &x, &mut y).grid(1));
    finds(SOURCE, "no wait", CopyInFlight, no_wait(false, &x, &mut y).grid(1));
}

#[kernel(block = 32)]
fn waits_for_too_few(x: &[f32], y: &mut [f32]) {
    let tile = shared::<f32>(256);
    let i = thread_idx_x();
    cp_async::<4, f32>(tile, i * 4, x, i * 4);
    cp_async_commit();
    cp_async::<4, f32>(tile, 128 + i * 4, x, 128 + i * 4); //~ the second group other
    cp_async_commit();
    cp_async_wait(1);
    y[i] = tile[i * 4];
    y[32 + i] = tile[128 + i * 4]; //~ the second group
}

#[test]
fn a_wait_that_leaves_a_group() {
    let (x, mut y) = (numbers(256), numbers(64));
    finds(SOURCE, "the second group", CopyInFlight, waits_for_too_few(&x, &mut y).grid(1));
}

#[kernel(block = 32)]
fn forgets_to_commit(x: &[f32], y: &mut [f32]) {
    let tile = shared::<f32>(128);
    let i = thread_idx_x();
    cp_async::<4, f32>(tile, i * 4, x, i * 4); //~ no commit other
    cp_async_wait(0);
    y[i] = tile[i * 4]; //~ no commit
}

#[test]
fn a_copy_in_no_group() {
    let (x, mut y) = (numbers(128), numbers(32));
    finds(SOURCE, "no commit", CopyInFlight, forgets_to_commit(&x, &mut y).grid(1));
}

#[kernel(block = 32)]
fn waits_alone(#[comptime] safe: bool, x: &[f32], y: &mut [f32]) {
    let tile = shared::<f32>(128);
    let i = thread_idx_x();
    cp_async::<4, f32>(tile, i * 4, x, i * 4); //~ alone other
    cp_async_commit();
    cp_async_wait(0);
    if safe {
        barrier();
    }
    y[i] = tile[127 - i * 4]; //~ alone
}

#[test]
fn a_wait_shows_nothing_to_others() {
    let (x, mut y) = (numbers(128), numbers(32));
    finds_nothing(waits_alone(true, &x, &mut y).grid(1));
    // Whether the copy was waited for when the other thread came is the schedule's whim.
    let launch = waits_alone(false, &x, &mut y).grid(1);
    finds_one_of(SOURCE, "alone", &[Race, CopyInFlight], launch);
}

#[kernel(block = 64)]
fn refills_too_early(n: usize, x: &[f32], y: &mut [f32]) {
    let tile = shared::<f32>(256);
    let i = thread_idx_x();
    let mut sum = 0.0;
    for step in 0..n {
        cp_async::<4, f32>(tile, i * 4, x, step * 256 + i * 4); //~ refilled
        cp_async_commit();
        cp_async_wait(0);
        barrier();
        sum += tile[255 - i]; //~ refilled other
    }
    y[i] = sum;
}

#[test]
fn a_tile_refilled_while_others_read_it() {
    let (x, mut y) = (numbers(1024), numbers(64));
    finds_nothing(refills_too_early(1, &x, &mut y).grid(1));
    let launch = refills_too_early(4, &x, &mut y).grid(1);
    finds_one_of(SOURCE, "refilled", &[Race, CopyInFlight], launch);
}

#[kernel(block = 32)]
fn copies_twice(x: &[f32], y: &mut [f32]) {
    let tile = shared::<f32>(128);
    let i = thread_idx_x();
    cp_async::<4, f32>(tile, i * 4, x, i * 4); //~ twice other
    cp_async::<4, f32>(tile, i * 4, x, 128 + i * 4); //~ twice
    cp_async_commit();
    cp_async_wait(0);
    y[i] = tile[i * 4];
}

#[test]
fn two_copies_to_one_place() {
    let (x, mut y) = (numbers(256), numbers(32));
    finds(SOURCE, "twice", CopyInFlight, copies_twice(&x, &mut y).grid(1));
}

#[kernel(block = 32)]
fn clears_late(x: &[f32], y: &mut [f32]) {
    let tile = shared::<f32>(128);
    let i = thread_idx_x();
    cp_async::<4, f32>(tile, i * 4, x, i * 4); //~ cleared other
    cp_async_commit();
    tile[i * 4 + 3] = 0.0; //~ cleared
    cp_async_wait(0);
    y[i] = tile[i * 4 + 3];
}

#[test]
fn a_write_that_the_copy_may_overwrite() {
    let (x, mut y) = (numbers(128), numbers(32));
    finds(SOURCE, "cleared", CopyInFlight, clears_late(&x, &mut y).grid(1));
}
