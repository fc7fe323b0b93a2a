use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    y[x[0]] = 1.0;
}

fn main() {}
