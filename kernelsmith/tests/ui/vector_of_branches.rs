use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    let values = if x[0] > 0.0 { vec![x[0]] } else { vec![x[1]] };
    y[0] = values[0];
}

fn main() {}
