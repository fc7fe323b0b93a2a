use kernelsmith::prelude::*;

#[kernel]
fn mistake(n: usize, y: &mut [f32]) {
    let values = [0.0f32; n];
    y[0] = values[0];
}

fn main() {}
