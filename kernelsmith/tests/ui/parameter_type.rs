use kernelsmith::prelude::*;

#[kernel]
fn mistake(names: Vec<String>, y: &mut [f32]) {
    y[0] = 0.0;
}

fn main() {}
