use kernelsmith::prelude::*;

#[kernel]
fn mistake(a: f32, y: &mut [f32]) {
    y[0] = a[0];
    y[1] = a.x;
    y[2] = a(1);
}

fn main() {}
