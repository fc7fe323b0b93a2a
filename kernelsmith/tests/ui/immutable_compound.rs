use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    let sum = x[0];
    sum += x[1];
    let count = 3;
    count += 1;
    y[0] = sum;
}

fn main() {}
