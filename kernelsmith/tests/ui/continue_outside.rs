use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    if x[0] > 0.0 {
        continue;
    }
    y[0] = x[0];
}

fn main() {}
