//! Accesses outside of arrays, and misaligned ones.

use kernelsmith::FindingKind::{Misaligned, OutOfBounds};
use kernelsmith::prelude::*;

use crate::harness::{finds, finds_nothing, numbers};

const SOURCE: &str = include_str!("bounds.rs");

#[kernel]
fn sound(x: &[f32], y: &mut [f32]) {
    let i = global_idx_x();
    if i < y.len() {
        y[i] = 2.0 * x[i];
    }
}

#[test]
fn a_sound_kernel_computes() {
    let (x, mut y) = (numbers(100), numbers(100));
    finds_nothing(sound(&x, &mut y).grid(4).block(32));
    assert!(y.to_vec().unwrap().iter().enumerate().all(|(i, &y)| y == 2.0 * i as f32));
}

#[kernel]
fn reads_past_the_end(x: &[f32], y: &mut [f32]) {
    let i = global_idx_x();
    // SAFETY: wrong on purpose: the last thread reads past the end.
    y[i] = unsafe { x.get_unchecked(i + 1) }; //~ past the end
}

#[test]
fn past_the_end() {
    let (x, mut y) = (numbers(64), numbers(64));
    let launch = reads_past_the_end(&x, &mut y).grid(2).block(32);
    let finding = finds(SOURCE, "past the end", OutOfBounds, launch);
    assert_eq!((finding.agent.block, finding.agent.thread), ([1, 0, 0], [31, 0, 0]));
    assert_eq!(finding.what, "reads 4 bytes at byte 256 of `x`, which has 256");
}

#[kernel]
fn writes_past_the_end(y: &mut [f32]) {
    let i = global_idx_x();
    // SAFETY: wrong on purpose: there are more threads than elements.
    unsafe { y.set_unchecked(i, 1.0) } //~ no guard
}

#[test]
fn a_missing_guard() {
    let mut y = numbers(100);
    let finding =
        finds(SOURCE, "no guard", OutOfBounds, writes_past_the_end(&mut y).threads(100, 32));
    assert_eq!(finding.agent.block, [3, 0, 0]);
    assert!(finding.what.starts_with("writes 4 bytes at byte"), "{finding}");
}

#[kernel]
fn reads_before_the_start(x: &[f32], y: &mut [f32]) {
    let i = global_idx_x();
    // SAFETY: wrong on purpose: the first thread reads before the start.
    let left = unsafe { x.get_unchecked(i - 1) }; //~ before the start
    y[i] = left + x[i];
}

#[test]
fn before_the_start() {
    let (x, mut y) = (numbers(32), numbers(32));
    let launch = reads_before_the_start(&x, &mut y).grid(1).block(32);
    let finding = finds(SOURCE, "before the start", OutOfBounds, launch);
    assert_eq!(finding.agent.thread, [0, 0, 0]);
    assert!(finding.what.contains("at byte -4 of `x`"), "{finding}");
}

#[kernel(block = 32)]
fn leaves_its_shared_array(y: &mut [f32]) {
    let (first, second) = (shared::<f32>(32), shared::<f32>(32));
    let i = thread_idx_x();
    first[i] = 1.0;
    second[i] = 2.0;
    barrier();
    // SAFETY: wrong on purpose: index 32 is the neighbouring array's first element.
    y[i] = unsafe { first.get_unchecked(i + 1) } + second[i]; //~ the neighbour
}

#[test]
fn into_the_neighbouring_shared_array() {
    let mut y = numbers(32);
    let launch = leaves_its_shared_array(&mut y).grid(1);
    let finding = finds(SOURCE, "the neighbour", OutOfBounds, launch);
    assert!(finding.what.contains("shared array"), "{finding}");
}

#[kernel(block = 32)]
fn writes_past_shared(y: &mut [f32]) {
    let tile = shared::<f32>(32);
    let i = thread_idx_x();
    // SAFETY: wrong on purpose: the last column of a padded tile that is not padded.
    unsafe { tile.set_unchecked(i + i / 31, 1.0) } //~ no padding
    barrier();
    y[i] = tile[i / 2];
}

#[test]
fn past_the_end_of_shared_memory() {
    let mut y = numbers(32);
    let launch = writes_past_shared(&mut y).grid(1);
    let finding = finds(SOURCE, "no padding", OutOfBounds, launch);
    assert_eq!(finding.agent.thread, [31, 0, 0]);
}

#[kernel]
fn sums_pairs(x: &[f32], y: &mut [f32]) {
    let i = thread_idx_x();
    // SAFETY: wrong on purpose: the part of the buffer ends before.
    y[i] = x[i] + unsafe { x.get_unchecked(i + 1) }; //~ beyond the part
}

#[test]
fn beyond_a_part_of_a_buffer() {
    let (x, mut y) = (numbers(128), numbers(32));
    let part = x.slice(..32).unwrap();
    let launch = sums_pairs(part, &mut y).grid(1).block(32);
    finds(SOURCE, "beyond the part", OutOfBounds, launch);
}

#[kernel]
fn reads_something(x: &[f32], y: &mut [f32]) {
    // SAFETY: wrong on purpose: there may be no element.
    y[0] = unsafe { x.get_unchecked(0) }; //~ empty
}

#[test]
fn an_empty_buffer() {
    let (x, mut y) = (numbers(0), numbers(1));
    finds(SOURCE, "empty", OutOfBounds, reads_something(&x, &mut y).grid(1).block(1));
}

#[kernel]
fn loads_fours(offset: usize, x: &[f32], y: &mut [f32]) {
    let i = thread_idx_x();
    let [a, b, c, d] = x.load_vector::<4>(i * 4 + offset); //~ crooked load
    y[i] = a + b + c + d;
}

#[test]
fn a_vector_at_an_odd_index() {
    let (x, mut y) = (numbers(64), numbers(8));
    finds_nothing(loads_fours(4, &x, &mut y).grid(1).block(8));
    let launch = loads_fours(2, &x, &mut y).grid(1).block(8);
    let finding = finds(SOURCE, "crooked load", Misaligned, launch);
    assert!(finding.what.contains("no multiple of 16"), "{finding}");
}

#[test]
fn a_vector_of_a_part_that_begins_anywhere() {
    let (x, mut y) = (numbers(64), numbers(8));
    let part = x.slice(1..).unwrap();
    let launch = loads_fours(0, part, &mut y).grid(1).block(8);
    finds(SOURCE, "crooked load", Misaligned, launch);
}

#[kernel]
fn stores_pairs(y: &mut [f32]) {
    let i = thread_idx_x();
    y.store_vector(i * 2 + 1, [1.0, 2.0]); //~ crooked store
}

#[test]
fn a_vector_stored_at_an_odd_index() {
    let mut y = numbers(64);
    finds(SOURCE, "crooked store", Misaligned, stores_pairs(&mut y).grid(1).block(8));
}

#[kernel(block = 32)]
fn copies_crookedly(x: &[f32], y: &mut [f32]) {
    let tile = shared::<f32>(128);
    let i = thread_idx_x();
    // SAFETY: wrong on purpose: the source is no multiple of 4 elements.
    unsafe { cp_async_unchecked::<4, f32>(tile, i * 4, x, i * 4 + 2) } //~ crooked copy
    cp_async_commit();
    cp_async_wait(0);
    barrier();
    y[i] = tile[i];
}

#[test]
fn a_crooked_copy() {
    let (x, mut y) = (numbers(256), numbers(32));
    finds(SOURCE, "crooked copy", Misaligned, copies_crookedly(&x, &mut y).grid(1));
}
