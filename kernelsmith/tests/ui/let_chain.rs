use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    let bias = Some(x[0]);
    if let Some(b) = bias && b > 0.0 {
        y[0] = b;
    }
}

fn main() {}
