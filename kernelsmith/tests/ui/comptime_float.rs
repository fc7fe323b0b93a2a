use kernelsmith::prelude::*;

#[kernel]
fn mistake(#[comptime] scale: f32, y: &mut [f32]) {
    y[0] = scale;
}

fn main() {}
