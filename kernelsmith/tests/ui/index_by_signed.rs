use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    let i = global_idx_x() as i32;
    y[0] = x[i];
    let table = [1.0f32, 2.0];
    y[1] = table[i];
}

fn main() {}
