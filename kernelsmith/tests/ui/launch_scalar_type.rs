use kernelsmith::prelude::*;

#[kernel]
fn copy(x: &[f32], n: u32, y: &mut [f32]) {
    let i = global_idx_x();
    if i < n as usize {
        y[i] = x[i];
    }
}

fn main() {
    let device = Device::cpu();
    let x = Buffer::<f32>::zeros(&device, 4).unwrap();
    let mut y = Buffer::<f32>::zeros(&device, 4).unwrap();
    copy(&x, 4.0, &mut y).block(4).launch(&device).unwrap();
}
