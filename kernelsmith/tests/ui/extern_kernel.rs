use kernelsmith::prelude::*;

#[kernel]
extern "C" fn mistake(y: &mut [f32]) {
    y[0] = 0.0;
}

fn main() {}
