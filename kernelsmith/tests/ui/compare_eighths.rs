use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[e4m3], y: &mut [u32]) {
    if x[0] < x[1] {
        y[0] = 1;
    }
}

fn main() {}
