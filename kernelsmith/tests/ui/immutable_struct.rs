use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    let pair = (x[0], x[1]);
    pair.0 = 2.0;
    let values = [x[0], x[1]];
    values[0] = 1.0;
    y[0] = pair.0 + values[0];
}

fn main() {}
