use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    if x[0] && x[1] {
        y[0] = 0.0;
    }
    if x[0] > 0.0 || x[1] {
        y[0] = 1.0;
    }
}

fn main() {}
