use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    let i = global_idx_x();
    let mut sum = 0.0f32;
    sum = i;
    sum += i;
    y[i] = sum;
}

fn main() {}
