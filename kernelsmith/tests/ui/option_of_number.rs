use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    if let Some(v) = x[0] {
        y[0] = v;
    }
    let Some(w) = x[1] else { return };
    y[1] = w;
}

fn main() {}
