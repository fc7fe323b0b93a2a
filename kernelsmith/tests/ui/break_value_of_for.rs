use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &[f32], y: &mut [f32]) {
    let v = for i in 0..4usize {
        if x[i] > 0.0 {
            break x[i];
        }
    };
    while x[0] > 0.0 {
        break 1.0;
    }
    y[0] = 1.0;
}

fn main() {}
