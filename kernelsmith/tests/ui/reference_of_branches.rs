use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    let (a, b) = (x[0], x[1]);
    let larger = if a > b { &a } else { &b };
    y[0] = *larger;
}

fn main() {}
