use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32]) -> f32 {
    x[0]
}

fn main() {}
