use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    let mut name = "x";
    let c = 'c';
    y[0] = x[0];
}

fn main() {}
