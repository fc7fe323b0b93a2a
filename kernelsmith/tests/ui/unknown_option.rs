use kernelsmith::prelude::*;

#[kernel(blocks = 64)]
fn mistake(y: &mut [f32]) {
    y[0] = 0.0;
}

#[device(cpu)]
fn helper(a: f32) -> f32 {
    a
}

fn main() {}
