use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    let i = global_idx_x();
    let n: u32 = i;
    let a = i + n;
    let b = x[0] as f64 + x[1];
    y[0] = b;
}

fn main() {}
