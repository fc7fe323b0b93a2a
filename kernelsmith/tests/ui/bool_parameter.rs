use kernelsmith::prelude::*;

#[kernel]
fn mistake(negate: bool, y: &mut [f32]) {
    if negate {
        y[0] = 0.0;
    }
}

fn main() {}
