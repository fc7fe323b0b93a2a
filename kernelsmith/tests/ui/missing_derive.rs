use kernelsmith::prelude::*;

#[derive(Clone, Copy)]
struct Pair {
    a: Val<f32>,
    b: Val<f32>,
}

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    let mut pair = Pair { a: x[0], b: x[1] };
    y[0] = pair.a + pair.b;
}

fn main() {}
