//! Accesses outside of arrays, misaligned ones, and reads of what nobody wrote.

use kernelsmith::FindingKind::OutOfBounds;
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
