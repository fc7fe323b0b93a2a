use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    let mut pair = (x[0], x[1]);
    pair.2 = 1.0;
    y[0] = pair.x;
}

fn main() {}
