use kernelsmith::prelude::*;

#[kernel(requires = x.len() / 2 >= n)]
fn halves(n: usize, x: &mut [f32]) {
    x[n] = 0.0;
}

#[kernel(requires = (x.len() >= n, x.len()))]
fn truthy(n: usize, x: &mut [f32]) {
    x[n] = 0.0;
}

fn main() {}
