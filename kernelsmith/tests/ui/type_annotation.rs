use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    let v: Vec<f32> = x[0];
    let n: &str = x[1];
    y[0] = v;
}

fn main() {}
