//! A float printed as an integer.
use kernelsmith::prelude::*;

#[kernel]
fn look(x: &[f32], y: &mut [f32]) {
    device_print!("x = {:x}", x[0]);
    y[0] = x[0];
}

fn main() {}
