use kernelsmith::prelude::*;

#[kernel]
fn mistake(a: f32, b: f32, y: &mut [f32]) {
    y[0] = a & b;
    y[1] = !a;
}

fn main() {}
