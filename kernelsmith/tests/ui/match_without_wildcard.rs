use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    let v = match global_idx_x() {
        0 => 1.0,
        1 => 2.0,
    };
    y[0] = v + x[0];
}

fn main() {}
