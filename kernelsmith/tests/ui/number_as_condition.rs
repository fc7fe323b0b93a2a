use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    let i = global_idx_x();
    if x[i] {
        y[i] = 0.0;
    }
}

fn main() {}
