use kernelsmith::prelude::*;

#[kernel]
fn mistake(n: usize, x: &[f32], y: &mut [f32]) {
    for i in unroll(0..n) {
        y[i] = x[i];
    }
}

fn main() {}
