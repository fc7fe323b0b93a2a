use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    y[0] = x[0].frobnicate();
    y[1] = x[0].count_ones();
    y[2] = global_idx_x().sqrt();
}

fn main() {}
