use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    for i in 0..=x.len() {
        y[i] = 0.0;
    }
}

fn main() {}
