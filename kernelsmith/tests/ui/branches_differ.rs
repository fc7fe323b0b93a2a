use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    let v = if x[0] > 0.0 { x[0] } else { global_idx_x() };
    y[0] = v;
}

fn main() {}
