use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    let v = Some(x[0])?;
    y[0] = v;
}

fn main() {}
