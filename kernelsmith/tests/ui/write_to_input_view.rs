use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &View<f32, 1>, y: &mut View<f32, 1>) {
    x[[0]] = y[[0]];
}

fn main() {}
