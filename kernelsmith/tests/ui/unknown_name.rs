use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    y[0] = z[0] + x[j];
}

fn main() {}
