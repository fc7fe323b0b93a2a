use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    x.slot_at(0).atomic_add(1.0);
    y[0] = x[0];
}

fn main() {}
