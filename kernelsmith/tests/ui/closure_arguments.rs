use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    let twice = |a: f32| a * 2.0;
    let i = global_idx_x();
    y[0] = twice(i);
    y[1] = twice(x[0], x[1]);
}

fn main() {}
