use kernelsmith::prelude::*;

#[kernel]
fn mistake(x: &View<f32, 2>, y: &mut View<f32, 2>) {
    let i = global_idx_x();
    y[[i, i]] = x[[i]];
    y[[i, i]] = x[i];
}

fn main() {}
