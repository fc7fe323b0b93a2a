use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    let v = match global_idx_x() {
        0 => x[0],
        1 => global_idx_x(),
        _ => x[2],
    };
    y[0] = v;
}

fn main() {}
