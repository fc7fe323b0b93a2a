use kernelsmith::prelude::*;

#[kernel]
fn mistake(n: usize, y: &mut [f32]) {
    let tile = shared::<f32>(n);
    y[0] = tile[0];
}

fn main() {}
