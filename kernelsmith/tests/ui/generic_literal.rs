use kernelsmith::prelude::*;

#[kernel]
fn mistake<T: Float>(x: &[T], y: &mut [T]) {
    y[0] = x[0] * 0.5;
    y[1] = 1.0;
}

fn main() {}
