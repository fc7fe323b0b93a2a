use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    let i = global_idx_x();
    assert!(x[i] > 0.0, "element {} is negative", i);
    y[i] = x[i];
}

fn main() {}
