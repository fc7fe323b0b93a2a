use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    let v = x[0];
    v = 1.0;
    y[0] = v;
}

fn main() {}
