use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    let mut i = 0;
    while x[i] > 0.0 {
        i += 1;
    }
    y[0] = x[i];
}

fn main() {}
