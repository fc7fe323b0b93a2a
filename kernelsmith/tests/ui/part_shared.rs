use kernelsmith::prelude::*;

#[kernel]
fn reads(y: &Part<f32, 1>, z: &mut [f32]) {
    z[0] = y[0];
}

fn main() {}
