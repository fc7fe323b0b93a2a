use kernelsmith::prelude::*;

#[device]
fn power(a: f32, #[comptime] n: i32) -> f32 {
    a.powi(n)
}

#[kernel]
fn mistake(n: i32, x: &[f32], y: &mut [f32]) {
    y[0] = power(x[0], n);
}

fn main() {}
