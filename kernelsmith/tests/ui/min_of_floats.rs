use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    y[0] = x.iter().copied().min().unwrap_or(0.0);
}

fn main() {}
