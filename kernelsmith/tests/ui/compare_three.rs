use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    if 0.0 < x[0] < 1.0 {
        y[0] = 0.0;
    }
}

fn main() {}
