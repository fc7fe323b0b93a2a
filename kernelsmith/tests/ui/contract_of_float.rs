use kernelsmith::prelude::*;

#[kernel(requires = x.len() >= a)]
fn of_float(a: f32, x: &mut [f32]) {
    x[0] = a;
}

fn main() {}
