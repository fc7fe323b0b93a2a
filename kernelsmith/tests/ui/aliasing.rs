use kernelsmith::prelude::*;

#[kernel]
fn copy(x: &[f32], y: &mut [f32]) {
    let i = global_idx_x();
    y[i] = x[i];
}

fn main() {
    let device = Device::cpu();
    let mut x = Buffer::<f32>::zeros(&device, 4).unwrap();
    copy(&x, &mut x).block(4).launch(&device).unwrap();
}
