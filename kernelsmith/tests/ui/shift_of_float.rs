use kernelsmith::prelude::*;

#[kernel]
fn mistake(a: f32, y: &mut [f32]) {
    y[0] = a << 1;
}

fn main() {}
