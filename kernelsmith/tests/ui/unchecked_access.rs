use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    let i = global_idx_x();
    y[i] = x.get_unchecked(i);
}

fn main() {}
