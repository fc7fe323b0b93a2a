use kernelsmith::prelude::*;

#[kernel]
fn mistake<T>(a: T, y: &mut [T]) {
    y[0] = a;
}

fn main() {}
