use kernelsmith::prelude::*;

#[kernel]
fn mistake(n: usize, m: u32, y: &mut [f32]) {
    for i in m..n {
        y[i] = 0.0;
    }
    for i in 0u32..=n {
        y[i] = 0.0;
    }
}

fn main() {}
