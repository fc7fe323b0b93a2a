use kernelsmith::prelude::*;

#[kernel]
fn mistake(n: u32, y: &mut [u32]) {
    y[0] = -n;
}

fn main() {}
