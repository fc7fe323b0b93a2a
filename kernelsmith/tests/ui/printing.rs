use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    let i = global_idx_x();
    println!("thread {i:?}");
    y[i] = dbg!(x[i]);
}

fn main() {}
