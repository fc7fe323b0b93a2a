use kernelsmith::prelude::*;

#[kernel]
fn split(y: &mut [f32], z: &mut [f32]) {
    y[0] = z[0];
}

fn main() {
    let device = Device::cpu();
    let mut y = Buffer::<f32>::zeros(&device, 4).unwrap();
    split(&mut y, &mut y).block(4).launch(&device).unwrap();
}
