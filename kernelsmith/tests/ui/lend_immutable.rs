use kernelsmith::prelude::*;

#[device]
fn add(to: &mut f32, by: f32) {
    *to += by;
}

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    let mut total = 0.0f32;
    let fixed = x[0];
    add(&mut total, fixed);
    add(&mut fixed, total);
    y[0] = total;
}

fn main() {}
