use kernelsmith::prelude::*;

#[kernel]
fn fill(value: f32, y: &mut [f32]) {
    y[global_idx_x()] = value;
}

fn main() {
    let device = Device::cpu();
    let mut y = Buffer::<f32>::zeros(&device, 4).unwrap();
    fill(&mut y).block(4).launch(&device).unwrap();
}
