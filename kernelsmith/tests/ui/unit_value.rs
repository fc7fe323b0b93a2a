use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    let v = y[0] = x[0];
    y[1] = v;
    y[2] = barrier();
}

fn main() {}
