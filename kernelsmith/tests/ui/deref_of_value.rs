use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    let a = x[0];
    y[0] = *a;
}

fn main() {}
