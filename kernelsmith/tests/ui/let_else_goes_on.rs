use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    let Some(v) = Some(x[0]) else { y[0] = 0.0; };
    y[1] = v;
}

fn main() {}
