use kernelsmith::prelude::*;

#[derive(KernelValue, Clone, Copy)]
struct Pair {
    a: Val<f32>,
    b: Val<f32>,
}

#[kernel]
fn mistake(y: &mut [f32]) {
    let tile = shared::<Pair>(4);
    y[0] = tile[0].a;
}

fn main() {}
