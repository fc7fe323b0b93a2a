use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    let values = [x[0], x[1]];
    if values.iter().any(|v| *v > 0.0) {
        y[0] = 0.0;
    }
}

fn main() {}
