use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    for v in 0.0..x[0] {
        y[0] = v;
    }
}

fn main() {}
