use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    barrier(1);
    y[0] = x[0];
}

fn main() {}
