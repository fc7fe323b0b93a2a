use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    let positive: bool = x[0] > 0.0;
    if std::convert::identity::<bool>(positive) {
        y[0] = 0.0;
    }
}

fn main() {}
