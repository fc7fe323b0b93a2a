//! The message of an assertion with a value too few.
use kernelsmith::prelude::*;

#[kernel]
fn check(n: u32, y: &mut [u32]) {
    assert!(n > 3, "n is {}, not {}", n);
    y[0] = n;
}

fn main() {}
