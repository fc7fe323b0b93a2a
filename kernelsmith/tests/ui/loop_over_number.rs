use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    for i in x.len() {
        y[i] = x[i];
    }
}

fn main() {}
