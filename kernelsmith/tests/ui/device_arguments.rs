use kernelsmith::prelude::*;

#[device]
fn scale(a: f32, by: f32) -> f32 {
    a * by
}

#[kernel]
fn other_type(x: &[f32], y: &mut [f32]) {
    let i = global_idx_x();
    y[i] = scale(x[i], i);
}

#[kernel]
fn too_few(x: &[f32], y: &mut [f32]) {
    y[0] = scale(x[0]);
}

fn main() {}
