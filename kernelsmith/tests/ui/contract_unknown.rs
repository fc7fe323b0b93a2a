use kernelsmith::prelude::*;

#[kernel(requires = x.len() >= m)]
fn unknown(n: usize, x: &mut [f32]) {
    x[n] = 0.0;
}

fn main() {}
